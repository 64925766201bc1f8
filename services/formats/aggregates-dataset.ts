import type { Aggregate, Distribution } from '../../schemas/records.ts'
import { AGGREGATES } from '../../schemas/topics.ts'
import { MEASURES } from '../core/measure/measures.ts'
import { METRIC_STATS } from '../core/triggers/rule.ts'
import {
  type Cells,
  type Column,
  type Dataset,
  optional,
  required,
  SOURCE_COLUMNS,
} from './column.ts'
import { sortedJson } from './sorted-json.ts'

/** The dimensions that have a column of their own; the others are in the series column. */
export const DIMENSIONS = ['model', 'endpoint', 'region', 'tenant'] as const

/** The names of a series' dimensions, in order, with commas between; empty for the whole fleet. */
export function groupingOf(series: Readonly<Record<string, string>>): string {
  return Object.keys(series).sort().join(',')
}

const STATISTICS = ['sum', ...METRIC_STATS] as const

/** A measure without an observation is null in all but its count, which is null when absent. */
function measureColumns(name: string): readonly Column<Aggregate>[] {
  const observed = (aggregate: Aggregate): Distribution | null => {
    const found = aggregate.metrics[name]
    return found === undefined || found.count === 0 ? null : found
  }
  return [
    optional(`${name}_count`, 'int64', (a) => a.metrics[name]?.count ?? null),
    ...STATISTICS.map((statistic) =>
      optional(`${name}_${statistic}`, 'float64', (a: Aggregate) => {
        return observed(a)?.[statistic] ?? null
      }),
    ),
    optional(`${name}_histogram_scale`, 'int32', (a) => observed(a)?.histogram.scale ?? null),
    optional(`${name}_histogram_zero_count`, 'int64', (a) => {
      return observed(a)?.histogram.zero_count ?? null
    }),
    optional(`${name}_histogram_offset`, 'int32', (a) => observed(a)?.histogram.offset ?? null),
    optional(`${name}_histogram_counts`, 'int64_list', (a) => {
      return observed(a)?.histogram.counts ?? null
    }),
  ]
}

const COLUMNS: readonly Column<Aggregate>[] = [
  // Null: not a dimension of the grouping. Empty: the dimension's value is not known.
  ...DIMENSIONS.map((name) =>
    optional(name, 'label', (a: Aggregate) => {
      return a.series[name] ?? null
    }),
  ),
  required('series', 'label', (a) => sortedJson(a.series)),
  required('grouping', 'label', (a) => groupingOf(a.series)),
  required('size_s', 'int32', (a) => a.size_s),
  required('window_start', 'timestamp_us', (a) => a.start * 1000),
  required('window_end', 'timestamp_us', (a) => a.end * 1000),
  required('revision', 'int32', (a) => a.revision),
  required('incomplete', 'bool', (a) => a.incomplete),
  required('requests', 'int64', (a) => a.requests),
  required('errors', 'int64', (a) => a.errors),
  required('cancelled', 'int64', (a) => a.cancelled),
  required('errors_by_type', 'label', (a) => sortedJson(a.errors_by_type)),
  required('chunks', 'int64', (a) => a.chunks),
  required('input_tokens', 'int64', (a) => a.input_tokens),
  required('output_tokens', 'int64', (a) => a.output_tokens),
  optional('goodput', 'float64', (a) => a.goodput),
  required('gauges', 'string', (a) => sortedJson(a.gauges)),
  ...MEASURES.flatMap((measure) => measureColumns(measure.name)),
  ...SOURCE_COLUMNS,
]

/**
 * One row per final aggregate and revision: a reader takes the highest revision of a series, size
 * and start.
 */
export const AGGREGATE_ROWS: Dataset = {
  name: 'aggregates',
  version: 1,
  topic: AGGREGATES,
  columns: COLUMNS,
  keeps: (record: Aggregate) => record.final,
  eventUs: (record: Aggregate) => record.start * 1000,
  timeColumn: 'window_start',
  sortColumns: ['tenant', 'model'],
}

/** A row as the aggregate that it was made of, but for the histograms, which no rule reads. */
export function aggregateOf(cells: Cells): Aggregate {
  const row = Object.fromEntries(COLUMNS.map(({ name }, i) => [name, cells[i]!]))
  const numbers = row as Readonly<Record<string, number>>
  const metrics = MEASURES.flatMap(({ name }) => {
    const count = row[`${name}_count`]
    if (count === null) return []
    const statistics = STATISTICS.map((statistic) => [
      statistic,
      numbers[`${name}_${statistic}`] ?? 0,
    ])
    return [[name, { count, ...Object.fromEntries(statistics), histogram: NO_HISTOGRAM }]]
  })
  return {
    series: JSON.parse(row.series as string),
    size_s: numbers.size_s!,
    start: numbers.window_start! / 1000,
    end: numbers.window_end! / 1000,
    final: true,
    revision: numbers.revision!,
    incomplete: row.incomplete as boolean,
    requests: numbers.requests!,
    errors: numbers.errors!,
    cancelled: numbers.cancelled!,
    errors_by_type: JSON.parse(row.errors_by_type as string),
    chunks: numbers.chunks!,
    input_tokens: numbers.input_tokens!,
    output_tokens: numbers.output_tokens!,
    metrics: Object.fromEntries(metrics),
    gauges: JSON.parse(row.gauges as string),
    goodput: row.goodput as number | null,
  }
}

const NO_HISTOGRAM = { scale: 0, zero_count: 0, offset: 0, counts: [] }
