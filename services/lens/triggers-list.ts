import type { RuleEpisode } from '../../schemas/records.ts'
import { TRIGGER_STATE } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import type { Bus } from '../bus/port.ts'
import { readRanges } from '../bus/read-range.ts'
import { decodeBatch } from './audit-parts.ts'

/** Where each rule stands for each series, by what triggers has kept; open ones first. */
export async function listEpisodes(bus: Bus, codec: Codec): Promise<readonly RuleEpisode[]> {
  const latest = new Map<string, RuleEpisode>()
  const offsets = await bus.offsets(TRIGGER_STATE)
  const spans = offsets.map(({ first, end }) => ({ from: first, end }))
  await readRanges(bus, TRIGGER_STATE, spans, async (_, records) => {
    for (const { value } of await decodeBatch(codec, TRIGGER_STATE, records)) {
      const state = value as RuleEpisode | null
      if (state === null) continue
      const key = `${state.rule}|${state.series}`
      const known = latest.get(key)
      // Two members can have written: the one that has come further knows.
      if (known && known.evaluated_through > state.evaluated_through) continue
      latest.set(key, state)
    }
  })
  return [...latest.values()].sort((a, b) => {
    const order = STATES.indexOf(a.state) - STATES.indexOf(b.state)
    return order || (textOf(a) < textOf(b) ? -1 : 1)
  })
}

const STATES: readonly RuleEpisode['state'][] = ['firing', 'recovering', 'pending', 'inactive']

function textOf({ rule, series }: RuleEpisode): string {
  return `${rule} ${series}`
}

/** A state as the cells of a row; times in UTC. */
export function episodeRow(episode: RuleEpisode): readonly string[] {
  const { rule, series, state, since, fired_at, evaluated_through } = episode
  return [rule, series, state, ...[since, fired_at, evaluated_through].map(timeText)]
}

function timeText(ms: number): string {
  return ms === 0 ? '-' : new Date(ms).toISOString()
}
