/** What the topics themselves show of a run. */
import type { WindowSlice } from '../../schemas/records.ts'
import { WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Codec } from '../../services/bus/codec.ts'
import type { Bus } from '../../services/bus/port.ts'

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
