import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'
import type { Rule } from '../core/triggers/rule.ts'
import { AGGREGATE_ROWS, aggregateOf } from '../formats/aggregates-dataset.ts'
import { scanLake, type TimeSpan } from '../lake/scan.ts'
import type { ObjectStore } from '../lake/store.ts'
import { tryRules } from '../triggers/try-rules.ts'

const HOUR_MS = 3_600_000

/**
 * What rules would have fired on the final windows of a lake, in the order in which they would have
 * known: as if they had begun with the span, with no state.
 */
export async function* backtest(
  store: ObjectStore,
  rules: readonly Rule[],
  span: TimeSpan,
  say: (line: string) => void,
): AsyncIterable<TriggerEvent> {
  const trial = tryRules(rules)
  let hour: Aggregate[] = []
  let hourMs = Number.NEGATIVE_INFINITY
  for await (const rows of scanLake(store, AGGREGATE_ROWS, span)) {
    for (const cells of rows) {
      const window = aggregateOf(cells)
      const own = Math.floor(window.start / HOUR_MS) * HOUR_MS
      // Files come in the order of their hours: with the next one, an hour is whole.
      if (own > hourMs) {
        if (hour.length > 0) say(`${new Date(hourMs).toISOString()}: ${hour.length} windows`)
        yield* trial.give(inOrder(hour))
        hour = []
        hourMs = own
      }
      if (window.revision === 0) hour.push(window)
    }
  }
  yield* trial.give(inOrder(hour))
}

function inOrder(windows: Aggregate[]): readonly Aggregate[] {
  return windows.sort((a, b) => a.end - b.end || a.size_s - b.size_s)
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

/** Sums events up; what fires at the end counts to the last event of all. */
export function sumUp(events: readonly TriggerEvent[]): readonly Fired[] {
  const endMs = events.reduce((last, event) => Math.max(last, event.window_end), 0)
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
