import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, AGGREGATES_LIVE, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { Platform } from '../bus/platform.ts'
import type { Running } from '../bus/service.ts'
import { seriesOf } from '../core/windows/series.ts'

/** What the table shows, gathered from the topics as any subscriber would. */
export interface Board extends Running {
  /** The newest one-minute result of each series, open or final. */
  readonly newest: ReadonlyMap<string, Aggregate>
  /** Newest last. */
  readonly events: readonly TriggerEvent[]
  /** Final results of revision 0 seen so far. */
  finals(): number
  /** Results of series beyond those that it holds. */
  refused(): number
}

const EVENTS_MAX = 100
const SERIES_MAX = 10_000

/** Subscribes with a group of its own; the bus in this process forgets what that has committed. */
export async function startBoard({ bus, codec }: Platform, group: string): Promise<Board> {
  const newest = new Map<string, Aggregate>()
  const events: TriggerEvent[] = []
  let finals = 0
  let refused = 0

  function take(topic: string, value: unknown): void {
    if (topic === TRIGGER_EVENTS) {
      events.push(value as TriggerEvent)
      if (events.length > EVENTS_MAX) events.shift()
      return
    }
    const aggregate = value as Aggregate
    if (aggregate.final && aggregate.revision === 0) finals++
    const { key } = seriesOf(aggregate.series)
    const before = newest.get(key)
    if (aggregate.size_s !== 60 || (before && before.end > aggregate.end)) return
    if (before || newest.size < SERIES_MAX) newest.set(key, aggregate)
    else refused++
  }

  const topics = [AGGREGATES, AGGREGATES_LIVE, TRIGGER_EVENTS]
  const source = bus.source(group, topics)
  const decoders = new Map(topics.map((topic) => [topic, codec.decoder(topic)]))
  await source.run({
    assigned: () => {},
    async batch({ topic, partition, records, end }) {
      for (const { value: bytes, appendMs } of records) {
        const { value, bad } = decoders.get(topic)!(bytes, appendMs)
        if (!bad) take(topic, value)
      }
      // It begins anew with each process: a commit that fails is no loss.
      await source.commit(topic, partition, { offset: end, metadata: '' }).catch(() => {})
    },
    failed: () => {},
  })
  return { newest, events, finals: () => finals, refused: () => refused, stop: () => source.stop() }
}
