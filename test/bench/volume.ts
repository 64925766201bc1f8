import type { Codec } from '../../services/bus/codec.ts'
import { PACK } from '../../services/bus/record-batch-writer.ts'
import type { Bench, Figure } from './figure.ts'
import { createMerging, flow, trafficOf } from './flow.ts'
import { race } from './race.ts'

const PARTITIONS = 4
const SECONDS = 60
const CHUNKS_PER_RECORD = 50

/** Raw records a second in a partition: what a range is made of. */
const CASES = [
  { series: 40, perSecond: 200 },
  { series: 1_000, perSecond: 200 },
  { series: 20_000, perSecond: 200 },
  { series: 40, perSecond: 1_000 },
  { series: 1_000, perSecond: 1_000 },
]

const LZ4 = PACK[3]!
const ZSTD = PACK[4]!

/** What the broker carries: raw records, and what windowing makes of them for statistics. */
export const volume: Bench = {
  async *run({ seed, share, runs }) {
    for (const { series, perSecond } of CASES) {
      const records = Math.ceil(perSecond * PARTITIONS * SECONDS * share)
      const sizes = { seed, records, series, chunksPerRecord: CHUNKS_PER_RECORD }
      const { log, codec } = await trafficOf({ ...sizes, partitions: PARTITIONS })
      const raw = log.flat().map((sent) => sent.map(({ bytes }) => bytes))
      const slices: Uint8Array[][] = []
      flow(log, codec, PARTITIONS, (values) => slices.push([...values]))
      const chunks = records * CHUNKS_PER_RECORD
      const of = `${series} series, ${Math.ceil(perSecond * share)} records a second and partition`
      const unit = 'bytes/chunk'
      const peer = { name: 'raw records', values: [bytesOf(raw) / chunks] }
      yield { what: `slices, ${of}`, unit, values: [bytesOf(slices) / chunks], peer }
      yield {
        ...{ what: `slices, ${of}`, unit: 'records', values: [slices.flat().length] },
        peer: { name: 'raw records', values: [records] },
      }
      const merged = await race({ ours: () => mergedBy(codec, slices) }, { runs, atLeastMs: 100 })
      yield { what: `slices merged, ${of}`, unit: 'records/s', values: merged.ours }
      yield* packed(`raw records, ${of}`, raw, chunks, runs)
      yield* packed(`slices, ${of}`, slices, chunks, runs)
    }
  },
}

/** How many records statistics has merged, live results left out. */
function mergedBy(codec: Codec, slices: readonly (readonly Uint8Array[])[]): number {
  const merging = createMerging(codec, PARTITIONS)
  for (const [i, values] of slices.entries()) merging.take(values, i % PARTITIONS)
  return slices.flat().length
}

/** Batches, as they are sent, by zstd beside lz4: what is left of them, and how fast. */
async function* packed(
  of: string,
  batches: readonly (readonly Uint8Array[])[],
  chunks: number,
  runs: number,
): AsyncIterable<Figure> {
  const plain = batches.map((values) => Buffer.concat(values))
  const left = (pack: (bytes: Buffer) => Buffer) => [bytesOf([plain.map(pack)]) / chunks]
  const what = `${of}, by zstd`
  yield { what, unit: 'bytes/chunk', values: left(ZSTD), peer: { name: 'lz4', values: left(LZ4) } }
  const all = (pack: (bytes: Buffer) => Buffer) => () => {
    for (const bytes of plain) pack(bytes)
    return bytesOf([plain]) / 1e6
  }
  const rates = await race({ zstd: all(ZSTD), lz4: all(LZ4) }, { runs, atLeastMs: 100 })
  yield { what, unit: 'MB/s', values: rates.zstd, peer: { name: 'lz4', values: rates.lz4 } }
}

function bytesOf(batches: readonly (readonly Uint8Array[])[]): number {
  return batches.flat().reduce((sum, { length }) => sum + length, 0)
}
