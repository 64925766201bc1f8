import { readFileSync } from 'node:fs'
import avro, { type Type } from 'avsc'
import { TOPICS, topicNamed, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { DeadLetterReason } from '../core/dead-letter.ts'
import { assert } from '../core/errors.ts'
import { type AvroGuard, createAvroGuard } from './avro-guard.ts'
import { createAvroWriter } from './avro-writer.ts'
import { countForgotten } from './health.ts'
import { NOT_UNPACKED } from './port.ts'
import type { Registry } from './registry.ts'
import { createSliceWriter } from './slice-writer.ts'

/** A decoded value, or why there is none. Decoders may reuse one object for all their results. */
export interface DecodeResult {
  readonly value: unknown
  readonly bad: DeadLetterReason | null
}

/** Turns the bytes of a record, appended at `appendMs`, into a value. Never throws. */
export type Decoder = (bytes: Uint8Array | null, appendMs: number) => DecodeResult

/** How the values of one writer schema are read as those of the topic's own schema. */
export interface WriterReader {
  /** The writer's schema is our own, byte for byte. */
  readonly same: boolean
  read(bytes: Uint8Array): DecodeResult
}

/** Avro in the Confluent wire format: a zero byte, the schema id in four bytes, the record. */
export interface Codec {
  /** The bytes of a record of ours; a value that does not fit its schema is a bug and throws. */
  encode(topic: string, value: object): Uint8Array
  decoder(topic: string): Decoder
  /** Finds how to read bytes of the topic, by their schema id; or the reason why they cannot be. */
  readersOf(topic: string): (bytes: Uint8Array | null) => WriterReader | DeadLetterReason
  /** Looks unknown schema ids up, so that decoding itself is synchronous. Throws when it cannot. */
  prepare(topic: string, values: readonly (Uint8Array | null)[]): Promise<void>
}

/** Bytes in front of the Avro record. */
export const HEADER_BYTES = 5

/** A larger value is a dead letter: no record of ours comes near it. */
const VALUE_BYTES_MAX = 1024 * 1024

const UNKNOWN_ID_MS = 30_000
const UNKNOWN_IDS_MAX = 100_000

/** One after the other, the unknown ids of a batch would take longer than a session. */
const LOOK_UPS_AT_ONCE = 32

/** The text of every schema file, by its name without the ending. */
export function readSchemas(): Readonly<Record<string, string>> {
  const folder = new URL('../../schemas/avro/', import.meta.url)
  const names = new Set(TOPICS.map((topic) => topic.schema))
  return Object.fromEntries(
    [...names].map((name) => [name, readFileSync(new URL(`${name}.avsc`, folder), 'utf8')]),
  )
}

/** A codec that has registered the schemas of all topics. `nowMs` bounds the memory of misses. */
export async function createCodec(registry: Registry, nowMs: () => number): Promise<Codec> {
  const schemas = readSchemas()
  const types = new Map(Object.entries(schemas).map(([name, text]) => [name, parse(text)]))
  const ids = new Map<string, number>()
  for (const { name, schema } of TOPICS) ids.set(name, await registry.idOf(name, schemas[schema]!))
  const encoders = new Map<string, (value: object) => Uint8Array>()
  const readers = new Map<string, Map<number, WriterReader | DeadLetterReason>>()
  const missing = new Map<number, number>()
  for (const { name, schema } of TOPICS) {
    const own = types.get(schema)!
    encoders.set(name, createEncoder(name, ids.get(name)!, own))
    readers.set(name, new Map([[ids.get(name)!, createReader(own, own, schemas[schema]!)]]))
  }

  function readersOf(topic: string): (bytes: Uint8Array | null) => WriterReader | DeadLetterReason {
    const known = readers.get(topic)!
    return (bytes) => {
      if (bytes === null) return 'empty'
      if (bytes === NOT_UNPACKED) return 'batch_too_large'
      if (bytes.length < HEADER_BYTES || bytes[0] !== 0) return 'bad_magic'
      if (bytes.length > VALUE_BYTES_MAX) return 'too_large'
      return known.get(schemaId(bytes)) ?? 'unknown_schema'
    }
  }

  function remember(id: number): void {
    missing.delete(id)
    missing.set(id, nowMs() + UNKNOWN_ID_MS)
    // Maps keep their order: the first has been asked for the longest ago.
    if (missing.size <= UNKNOWN_IDS_MAX) return
    missing.delete(missing.keys().next().value!)
    countForgotten('unknown_schema_ids', 1)
  }

  async function lookUp(topic: string, id: number): Promise<void> {
    if ((missing.get(id) ?? 0) > nowMs()) return
    const text = await registry.schemaOf(id)
    if (text === null) remember(id)
    else readers.get(topic)!.set(id, readerFor(types.get(topicNamed(topic).schema)!, text))
  }

  return {
    encode: (topic, value) => encoders.get(topic)!(value),
    readersOf,
    decoder(topic) {
      const readerOf = readersOf(topic)
      return (bytes) => {
        const reader = readerOf(bytes)
        return typeof reader === 'string' ? bad(reader) : reader.read(bytes!)
      }
    },
    async prepare(topic, values) {
      const known = readers.get(topic)!
      const unknown = new Set<number>()
      for (const bytes of values) {
        if (bytes === null || bytes.length < HEADER_BYTES || bytes[0] !== 0) continue
        const id = schemaId(bytes)
        if (!known.has(id)) unknown.add(id)
      }
      const ids = [...unknown]
      while (ids.length > 0) {
        await Promise.all(ids.splice(0, LOOK_UPS_AT_ONCE).map((id) => lookUp(topic, id)))
      }
    },
  }
}

/** Says that bytes could not be decoded. */
export function bad(reason: DeadLetterReason): DecodeResult {
  return { value: undefined, bad: reason }
}

function schemaId(bytes: Uint8Array): number {
  return ((bytes[1]! << 24) | (bytes[2]! << 16) | (bytes[3]! << 8) | bytes[4]!) >>> 0
}

function parse(text: string): Type {
  return avro.Type.forSchema(JSON.parse(text), { wrapUnions: false })
}

function readerFor(own: Type, text: string): WriterReader | DeadLetterReason {
  try {
    return createReader(own, parse(text), text)
  } catch {
    return 'wrong_schema'
  }
}

/** Throws when the writer's schema cannot be read as ours. */
function createReader(own: Type, writer: Type, text: string): WriterReader {
  const same = own === writer || own.fingerprint().equals(writer.fingerprint())
  const resolver = same ? undefined : own.createResolver(writer)
  const guard: AvroGuard = createAvroGuard(JSON.parse(text))
  return {
    same,
    read(bytes) {
      const fault = guard(bytes, HEADER_BYTES)
      if (fault) return bad(fault)
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      try {
        const { value, offset } = own.decode(buffer, HEADER_BYTES, resolver)
        return offset < 0 ? bad('truncated') : { value, bad: null }
      } catch {
        return bad('invalid_value')
      }
    },
  }
}

const writer = createAvroWriter()

/** Topics whose records avsc would be too slow for. */
const OWN_WRITERS: Readonly<Record<string, (value: never) => void>> = {
  [WINDOW_SLICES]: createSliceWriter(writer),
}

let slab = Buffer.allocUnsafe(64 * 1024)

/** The encoder of a topic's records: behind the wire format's header, into a copy of its own. */
function createEncoder(topic: string, id: number, type: Type): (value: object) => Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(id, 1)
  const write = OWN_WRITERS[topic]
  if (!write) return (value) => frame(header, type, value)
  return (value) => {
    writer.open(header)
    write(value as never)
    return writer.bytes()
  }
}

/** Encodes into one growing slab and copies the result out once. */
function frame(header: Buffer, type: Type, value: object): Uint8Array {
  slab.set(header)
  let end = type.encode(value, slab, HEADER_BYTES)
  if (end < 0) {
    // avsc answers with the missing bytes as a negative number.
    slab = Buffer.allocUnsafe((slab.length - end) * 2)
    slab.set(header)
    end = type.encode(value, slab, HEADER_BYTES)
  }
  assert(end > HEADER_BYTES, 'a record did not fit the slab that was made for it')
  return Uint8Array.prototype.slice.call(slab, 0, end)
}
