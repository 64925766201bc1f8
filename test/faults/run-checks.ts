/** What the topics themselves show of a run. */
import type { TriggerEvent, WindowSlice } from '../../schemas/records.ts'
import { WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Codec } from '../../services/bus/codec.ts'
import type { Bus } from '../../services/bus/port.ts'

/** Every event has one form, and an episode is resolved only after it fired. */
export function triggerFaults(events: readonly TriggerEvent[]): readonly string[] {
  const forms = new Map<string, string>()
  const found: string[] = []
  for (const event of events) {
    const key = `${event.trigger_id} ${event.state}`
    const form = JSON.stringify(event)
    if ((forms.get(key) ?? form) !== form) found.push(`two forms of ${key} (${event.rule})`)
    forms.set(key, form)
  }
  for (const key of forms.keys()) {
    const [id, state] = key.split(' ')
    if (state === 'resolved' && !forms.has(`${id} firing`)) found.push(`${id} only resolved`)
  }
  return found
}

/**
 * Ranges that windowing wrote more than once, and the records of them that statistics had to drop:
 * a run without any has shown nothing.
 */
export async function repeatedRanges(
  bus: Bus,
  codec: Codec,
  partitions: number,
): Promise<{ repeated: number; dropped: number }> {
  const decode = codec.decoder(WINDOW_SLICES)
  const repeated = new Set<string>()
  let dropped = 0
  for (let partition = 0; partition < partitions; partition++) {
    const closed = new Set<string>()
    for (const { value, appendMs } of await bus.readAll(WINDOW_SLICES, partition)) {
      const record = decode(value, appendMs).value as WindowSlice
      const { source_topic, source_partition, from, to, closing } = record
      const range = `${source_topic}-${source_partition} ${from} ${to}`
      if (from === to) continue
      if (closed.has(range)) {
        repeated.add(range)
        dropped++
      }
      if (closing) closed.add(range)
    }
  }
  return { repeated: repeated.size, dropped }
}
