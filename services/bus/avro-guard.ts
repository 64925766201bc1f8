import type { DeadLetterReason } from '../core/dead-letter.ts'

/**
 * Walks Avro bytes by their schema without building anything, so that avsc only ever sees input
 * whose every count and length fits into the bytes that are there. Six bytes that claim an array
 * of 200 million items otherwise end the process (research/reliability-security.md C8).
 */
export type AvroGuard = (bytes: Uint8Array, start: number) => DeadLetterReason | null

type Schema = string | readonly Schema[] | SchemaObject
interface SchemaObject {
  readonly type: Schema
  readonly name?: string
  readonly items?: Schema
  readonly values?: Schema
  readonly size?: number
  readonly fields?: readonly { readonly type: Schema }[]
}

/** Where the walk stands; `fault` ends it. */
interface Cursor {
  readonly bytes: Uint8Array
  at: number
  depth: number
  fault: DeadLetterReason | null
}

type Step = (cursor: Cursor) => void

const DEPTH_MAX = 32
const FIXED_BYTES: Readonly<Record<string, number>> = { null: 0, boolean: 1, float: 4, double: 8 }

/** The guard of a schema given as parsed JSON; throws on a schema that is not Avro. */
export function createAvroGuard(schema: unknown): AvroGuard {
  const step = compile(schema as Schema, new Map())
  return (bytes, start) => {
    const cursor: Cursor = { bytes, at: start, depth: 0, fault: null }
    step(cursor)
    if (cursor.fault) return cursor.fault
    return cursor.at === bytes.length ? null : 'invalid_value'
  }
}

function compile(schema: Schema, named: Map<string, Step>): Step {
  if (typeof schema === 'string') return primitive(schema, named)
  if (Array.isArray(schema)) return union(schema.map((branch) => compile(branch, named)))
  const { type, name, items, values, size, fields } = schema as SchemaObject
  if (type === 'array') return blocks(compile(items!, named))
  if (type === 'map') return blocks(compileEntry(compile(values!, named)))
  if (type === 'enum') return define(name, readLong, named)
  if (type === 'fixed') return define(name, (cursor) => skip(cursor, size!), named)
  if (type !== 'record') return compile(type, named)
  let steps: readonly Step[] = []
  const record = define(name, (cursor) => nested(cursor, steps), named)
  steps = fields!.map((field) => compile(field.type, named))
  return record
}

function define(name: string | undefined, step: Step, named: Map<string, Step>): Step {
  if (name) named.set(name.slice(name.lastIndexOf('.') + 1), step)
  return step
}

function primitive(type: string, named: Map<string, Step>): Step {
  const fixed = FIXED_BYTES[type]
  if (fixed !== undefined) return (cursor) => skip(cursor, fixed)
  if (type === 'int') return readInt
  if (type === 'long') return readLong
  if (type === 'string' || type === 'bytes') return (cursor) => skip(cursor, readLong(cursor))
  const step = named.get(type.slice(type.lastIndexOf('.') + 1))
  if (!step) throw new Error(`not an Avro type: ${type}`)
  return step
}

function union(branches: readonly Step[]): Step {
  return (cursor) => {
    const branch = branches[readLong(cursor)]
    if (branch) branch(cursor)
    else cursor.fault ??= 'invalid_value'
  }
}

function nested(cursor: Cursor, steps: readonly Step[]): void {
  if (++cursor.depth > DEPTH_MAX) cursor.fault ??= 'invalid_value'
  for (let i = 0; i < steps.length && !cursor.fault; i++) steps[i]!(cursor)
  cursor.depth--
}

function compileEntry(value: Step): Step {
  return (cursor) => {
    skip(cursor, readLong(cursor))
    if (!cursor.fault) value(cursor)
  }
}

/** Blocks of items: a count, for a negative one also the block's size, then the items; 0 ends. */
function blocks(item: Step): Step {
  return (cursor) => {
    while (!cursor.fault) {
      let count = readLong(cursor)
      if (count === 0 || cursor.fault) return
      const isSized = count < 0
      if (isSized) count = -count
      const size = isSized ? readLong(cursor) : 0
      const start = cursor.at
      // Every item takes at least a byte, or there would be no bound on work per byte.
      if (count > cursor.bytes.length - cursor.at) cursor.fault ??= 'truncated'
      for (let i = 0; i < count && !cursor.fault; i++) item(cursor)
      // A reader that leaves the field out jumps by the size, to wherever it says.
      if (isSized && cursor.at - start !== size) cursor.fault ??= 'invalid_value'
    }
  }
}

function skip(cursor: Cursor, bytes: number): void {
  if (bytes < 0) cursor.fault ??= 'invalid_value'
  else if (bytes > cursor.bytes.length - cursor.at) cursor.fault ??= 'truncated'
  else cursor.at += bytes
}

/** A zigzag varint; a value beyond 2^53 is a fault, since no field of ours may hold one. */
function readLong(cursor: Cursor): number {
  const first = cursor.bytes[cursor.at++]
  if (first === undefined) return refuse(cursor, 'truncated')
  // Without its lowest bit, the sign, the value fits a double exactly.
  let magnitude = (first & 0x7f) >>> 1
  let scale = 64
  for (let byte = first; byte >= 0x80; scale *= 128) {
    const next = cursor.bytes[cursor.at++]
    if (next === undefined) return refuse(cursor, 'truncated')
    magnitude += (next & 0x7f) * scale
    if (scale > 2 ** 56) return refuse(cursor, 'invalid_value')
    byte = next
  }
  if (magnitude > Number.MAX_SAFE_INTEGER) return refuse(cursor, 'invalid_value')
  return first & 1 ? -magnitude - 1 : magnitude
}

/** What avsc would cut to 32 bits is a fault. */
function readInt(cursor: Cursor): void {
  const value = readLong(cursor)
  if (value !== (value | 0)) refuse(cursor, 'invalid_value')
}

function refuse(cursor: Cursor, reason: DeadLetterReason): number {
  cursor.fault ??= reason
  return 0
}
