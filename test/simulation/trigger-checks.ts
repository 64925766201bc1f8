/** What the rules of rules.yaml must have fired, computed from the aggregates, plainly. */
import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'

interface PlainRule {
  readonly name: string
  readonly dimension: string
  /** How many windows in a row it must have held before the one that fires. */
  readonly before: number
  /** Null when nothing can be said. */
  readonly holds: (window: Aggregate) => boolean | null
}

function errorsAbove(share: number) {
  return ({ requests, errors }: Aggregate) => (requests === 0 ? null : errors / requests > share)
}

const RULES: readonly PlainRule[] = [
  { name: 'errors', dimension: 'model', before: 0, holds: errorsAbove(0.2) },
  { name: 'errors-for-long', dimension: 'tenant', before: 1, holds: errorsAbove(0.1) },
  {
    name: 'slow',
    dimension: 'endpoint',
    before: 0,
    holds: ({ metrics }) => (metrics.ttft_us ? metrics.ttft_us.max > 300_000 : null),
  },
]

/** What is missing of the trigger events, and what should not be there, by the log's partitions. */
export function ruleFaults(
  logs: readonly (readonly Aggregate[])[],
  events: readonly TriggerEvent[],
): readonly string[] {
  const wanted = new Set(logs.flatMap((log) => RULES.flatMap((rule) => eventsOf(rule, log))))
  const got = new Set(events.map(({ trigger_id, state }) => `${trigger_id} ${state}`))
  return [
    ...[...wanted].filter((key) => !got.has(key)).map((key) => `no trigger event ${key}`),
    ...[...got].filter((key) => !wanted.has(key)).map((key) => `a trigger event ${key}`),
  ]
}

function isMinute({ series, size_s, revision }: Aggregate): boolean {
  return Object.keys(series).length === 1 && size_s === 60 && revision === 0
}

interface PlainState {
  through: number
  /** End of the last window that was there. */
  heard: number
  held: number
  firing: string | null
}

const HOUR_MS = 3_600_000

/** `trigger_id state` of each, from the first results of the windows in the order of the log. */
function eventsOf(rule: PlainRule, log: readonly Aggregate[]): string[] {
  const found: string[] = []
  const series = new Map<string, PlainState>()
  let last = 0
  for (const window of log) {
    if (window.size_s !== 60 || window.revision > 0) continue
    // The silent fleet's own go by the clock.
    if (window.requests === 0 && Object.keys(window.series).length === 0) continue
    if (window.end > last) {
      for (const state of series.values()) passSilence(state, last, found)
      last = window.end
    }
    // A repeat, or as late as a correction.
    if (window.end < last) continue
    const text = JSON.stringify(window.series)
    if (!isMinute(window) || !(rule.dimension in window.series)) continue
    const state = series.get(text) ?? { through: 0, heard: 0, held: 0, firing: null }
    series.set(text, state)
    // A repeat.
    if (window.end <= state.through) continue
    const goesOn = window.start <= state.through
    Object.assign(state, { through: window.end, heard: window.end })
    const holds = rule.holds(window)
    if (holds === null) continue
    if (!holds && state.firing) found.push(`${state.firing} resolved`)
    if (!holds) Object.assign(state, { firing: null, held: 0 })
    if (!holds || state.firing) continue
    state.held = goesOn && state.held > 0 ? state.held + 1 : 1
    if (state.held <= rule.before) continue
    state.firing = `${rule.name}|${text}|${new Date(window.end).toISOString()}`
    found.push(`${state.firing} firing`)
  }
  return found
}

/** Others had a window that ended then: silence ends a hold, and what fires after an hour. */
function passSilence(state: PlainState, end: number, found: string[]): void {
  if (state.through >= end || (state.held === 0 && !state.firing)) return
  state.through = end
  state.held = 0
  if (end - state.heard <= HOUR_MS) return
  if (state.firing) found.push(`${state.firing} resolved`)
  state.firing = null
}
