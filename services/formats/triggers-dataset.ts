import type { TriggerEvent } from '../../schemas/records.ts'
import { TRIGGER_EVENTS } from '../../schemas/topics.ts'
import { DIMENSIONS, groupingOf } from './aggregates-dataset.ts'
import { type Column, type Dataset, optional, required, SOURCE_COLUMNS } from './column.ts'
import { sortedJson } from './sorted-json.ts'

const COLUMNS: readonly Column<TriggerEvent>[] = [
  required('trigger_id', 'string', (t) => t.trigger_id),
  required('rule', 'label', (t) => t.rule),
  required('state', 'label', (t) => t.state),
  required('severity', 'label', (t) => t.severity),
  ...DIMENSIONS.map((name) =>
    optional(name, 'label', (t: TriggerEvent) => {
      return t.series[name] ?? null
    }),
  ),
  required('series', 'label', (t) => sortedJson(t.series)),
  required('grouping', 'label', (t) => groupingOf(t.series)),
  required('size_s', 'int32', (t) => t.size_s),
  required('window_end', 'timestamp_us', (t) => t.window_end * 1000),
  required('since', 'timestamp_us', (t) => t.since * 1000),
  required('condition', 'label', (t) => t.condition),
  required('observed', 'string', (t) => sortedJson(t.observed)),
  required('thresholds', 'label', (t) => sortedJson(t.thresholds)),
  ...SOURCE_COLUMNS,
]

/** One row per firing or resolving of a rule; a repeat has the same trigger_id and state. */
export const TRIGGER_ROWS: Dataset = {
  name: 'trigger_events',
  version: 1,
  topic: TRIGGER_EVENTS,
  columns: COLUMNS,
  keeps: () => true,
  eventUs: (record: TriggerEvent) => record.window_end * 1000,
  timeColumn: 'window_end',
  sortColumns: ['tenant', 'model'],
}
