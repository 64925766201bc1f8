/** Whether both sides have counted every chunk of the topic: a side that skips work is no peer. */
import type { WindowSlice } from '../../schemas/records.ts'
import { WINDOW_SLICES } from '../../schemas/topics.ts'
import { CHUNK_GAP, TTFT } from '../../services/core/measure/measures.ts'
import type { Cluster } from '../broker/cluster.ts'
import { STREAMS_SLICES } from './kafka-bench.ts'

/** Chunks in the slices of the whole fleet that windowing has published; repeated ranges once. */
export async function ourChunks({ bus, codec }: Cluster, partitions: number): Promise<number> {
  const decode = codec.decoder(WINDOW_SLICES)
  const byRange = new Map<string, number>()
  for (let partition = 0; partition < partitions; partition++) {
    for (const { value, appendMs } of await bus.readAll(WINDOW_SLICES, partition)) {
      const record = decode(value, appendMs).value as WindowSlice
      if (record.series === null || Object.keys(record.series).length > 0) continue
      const metrics = record.slices.flatMap((slice) => slice.metrics)
      const counted = metrics.filter(({ id }) => id === CHUNK_GAP.id || id === TTFT.id)
      const range = `${record.source_partition} ${record.from} ${record.slices[0]?.start}`
      byRange.set(
        range,
        counted.reduce((sum, { count }) => sum + count, 0),
      )
    }
  }
  return [...byRange.values()].reduce((sum, count) => sum + count, 0)
}

/**
 * The same in what StreamsPeer.java has published: its key begins with a space. Without groupings
 * each slice is published again and again, as it grows.
 */
export async function streamsChunks({ bus }: Cluster, partitions: number): Promise<number> {
  let fleet = 0
  const newest = new Map<string, number>()
  for (let partition = 0; partition < partitions; partition++) {
    for (const { key, value } of await bus.readAll(STREAMS_SLICES, partition)) {
      const chunks = firstTwo(Buffer.from(value!))
      const series = Buffer.from(key!).toString()
      if (series.startsWith(' ')) fleet += chunks
      newest.set(series, chunks)
    }
  }
  return fleet > 0 ? fleet : [...newest.values()].reduce((sum, chunks) => sum + chunks, 0)
}

/** Counts of the first two histograms: a byte whether there is one, count(8) ... buckets. */
function firstTwo(slice: Buffer): number {
  let at = 8
  let counted = 0
  for (let i = 0; i < 2; i++) {
    const isThere = slice[at++] === 1
    if (!isThere) continue
    counted += Number(slice.readBigInt64BE(at))
    at += 48 + 4 * slice.readInt32BE(at + 44)
  }
  return counted
}
