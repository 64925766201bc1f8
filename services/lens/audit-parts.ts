import { DEAD_LETTERS } from '../../schemas/topics.ts'
import { valuesOf } from '../bus/batch.ts'
import { type Codec, HEADER_BYTES } from '../bus/codec.ts'
import type { Bus, LogRecord } from '../bus/port.ts'

/** What an audit needs of the platform. */
export interface AuditParts {
  readonly bus: Bus
  readonly codec: Codec
  /** Progress, for a person. */
  readonly log: (line: string) => void
}

/** A record as it was read; the value is null when it cannot be decoded. */
export interface ReadRecord {
  readonly offset: number
  readonly appendMs: number
  readonly value: unknown
  readonly bytes: Uint8Array | null
}

/** Records by the registry and avsc alone, not by the decoders of the services. */
export async function decodeBatch(
  codec: Codec,
  topic: string,
  records: readonly LogRecord[],
): Promise<ReadRecord[]> {
  await codec.prepare(topic, valuesOf(records))
  // The codec refuses large values, and a dead letter may be one: it is asked by the header.
  const asked = topic === DEAD_LETTERS ? HEADER_BYTES : undefined
  const readerOf = codec.readersOf(topic)
  return records.map(({ offset, appendMs, value: bytes }) => {
    const reader = readerOf(bytes?.subarray(0, asked) ?? null)
    const result = typeof reader === 'string' ? null : reader.read(bytes!)
    return { offset, appendMs, value: result && !result.bad ? result.value : null, bytes }
  })
}

/** What a group has committed of a topic, by partition; null for nothing. */
export async function committedOf(
  bus: Bus,
  group: string,
  topic: string,
): Promise<(number | null)[]> {
  const source = bus.source(group, [topic])
  const { [topic]: partitions = 0 } = await bus.partitionCounts([topic])
  const commits = []
  for (let i = 0; i < partitions; i++) commits.push(await source.committed(topic, i))
  return commits.map((commit) => commit?.offset ?? null)
}

const PROGRESS_RECORDS = 250_000

/** Says now and then how many records of a topic have been read. */
export function progressOf(topic: string, log: (line: string) => void): (records: number) => void {
  let read = 0
  return (records) => {
    const before = Math.floor(read / PROGRESS_RECORDS)
    read += records
    if (Math.floor(read / PROGRESS_RECORDS) > before) log(`${topic}: ${read} records read`)
  }
}
