import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'
import type { Rule } from '../core/triggers/rule.ts'
import { AGGREGATE_ROWS, aggregateOf } from '../formats/aggregates-dataset.ts'
import { scanLake, type TimeSpan } from '../lake/scan.ts'
import type { ObjectStore } from '../lake/store.ts'
import { type RuleTrial, tryRules } from '../triggers/try-rules.ts'

const HOUR_MS = 3_600_000

/** How far a backtest has come. */
export interface BacktestProgress {
  /** End of the last window, in ms since 1970. */
  endMs: number
}

interface Placed {
  readonly offset: number
  readonly window: Aggregate
}

/**
 * What rules would have fired on the final windows of a lake: each partition as the service reads
 * it, in the order of its offsets, as if it had begun with the span, with no state.
 */
export async function* backtest(
  store: ObjectStore,
  rules: readonly Rule[],
  span: TimeSpan,
  progress: BacktestProgress,
  say: (line: string) => void,
): AsyncIterable<TriggerEvent> {
  const trials = new Map<number, RuleTrial>()
  const isAsked = askedBy(rules)
  let hour = new Map<number, Placed[]>()
  let hourMs = Number.NEGATIVE_INFINITY

  function* given(): Iterable<TriggerEvent> {
    for (const [partition, windows] of hour) {
      const trial = trials.get(partition) ?? tryRules(rules)
      trials.set(partition, trial)
      const ordered = windows.sort((a, b) => a.offset - b.offset)
      yield* trial.give(ordered.map(({ window }) => window))
    }
    hour = new Map()
  }

  for await (const rows of scanLake(store, AGGREGATE_ROWS, span)) {
    for (const cells of rows) {
      const window = aggregateOf(cells)
      const own = Math.floor(window.start / HOUR_MS) * HOUR_MS
      // Files come in the order of their hours: with the next one, an hour is whole.
      if (own > hourMs) {
        if (hour.size > 0) say(new Date(hourMs).toISOString())
        yield* given()
        hourMs = own
      }
      if (window.revision > 0) continue
      progress.endMs = Math.max(progress.endMs, window.end)
      if (!isAsked(window)) continue
      const [partition, offset] = [cells.at(-2) as number, cells.at(-1) as number]
      const placed = hour.get(partition) ?? []
      hour.set(partition, placed)
      placed.push({ offset, window })
    }
  }
  yield* given()
}

/** Whether a window is of a size that rules ask for; of any grouping, since time passes by all. */
function askedBy(rules: readonly Rule[]): (window: Aggregate) => boolean {
  const sizes = new Set(rules.map(({ windowMs }) => windowMs / 1000))
  return ({ size_s }) => sizes.has(size_s)
}

/** How often a rule fired for a series, and how long. */
export interface Fired {
  readonly rule: string
  readonly series: string
  readonly times: number
  readonly heldMs: number
  readonly longestMs: number
  readonly first: string
  /** Null while it fires still. */
  readonly lastEnd: string | null
}

/** Sums events up; what fires still counts to this end. */
export function sumUp(events: readonly TriggerEvent[], endMs: number): readonly Fired[] {
  const bySeries = Map.groupBy(events, ({ rule, series }) => `${rule} ${JSON.stringify(series)}`)
  return [...bySeries.values()].map((own) => {
    const firings = own.filter(({ state }) => state === 'firing')
    const helds = firings.map(({ trigger_id, window_end }) => {
      const end = own.find((one) => one.trigger_id === trigger_id && one.state === 'resolved')
      return { ms: (end?.window_end ?? endMs) - window_end, end: end?.window_end ?? null }
    })
    const { rule, series, window_end } = own[0]!
    const last = helds.at(-1)?.end ?? null
    return {
      ...{ rule, series: JSON.stringify(series), times: firings.length },
      heldMs: helds.reduce((sum, { ms }) => sum + ms, 0),
      longestMs: helds.reduce((most, { ms }) => Math.max(most, ms), 0),
      first: new Date(window_end).toISOString(),
      lastEnd: last === null ? null : new Date(last).toISOString(),
    }
  })
}
