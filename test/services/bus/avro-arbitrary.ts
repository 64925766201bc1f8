/** Arbitrary values of an Avro schema, and the schemas of all topics. */
import avro, { type Type } from 'avsc'
import fc from 'fast-check'
import { readSchemas } from '../../../services/bus/codec.ts'

type Schema = string | readonly Schema[] | SchemaObject
interface SchemaObject {
  readonly type: Schema
  readonly items?: Schema
  readonly values?: Schema
  readonly symbols?: readonly string[]
  readonly fields?: readonly { readonly name: string; readonly type: Schema }[]
}

export interface NamedSchema {
  readonly name: string
  readonly text: string
  readonly json: Schema
  readonly type: Type
}

/** The schemas of the topics, as the codec reads them. */
export const SCHEMAS: readonly NamedSchema[] = Object.entries(readSchemas()).map(
  ([name, text]) => ({ name, text, json: JSON.parse(text), type: avroType(JSON.parse(text)) }),
)

/** avsc's type of a schema, as the codec makes it. */
export function avroType(schema: unknown): Type {
  return avro.Type.forSchema(schema as avro.Schema, { wrapUnions: false })
}

/** One of the schemas above. */
export function schemaNamed(name: string): NamedSchema {
  return SCHEMAS.find((schema) => schema.name === name)!
}

const INT = { min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }
const SAFE = 2 ** 53 - 2

// Bytes of every length from one to eight are as likely as each other.
const long = fc
  .tuple(
    fc.integer({ min: 0, max: 52 }),
    fc.double({ min: 0.5, max: 1, noNaN: true }),
    fc.boolean(),
  )
  .map(([bits, share, negative]) => Math.round(share * 2 ** bits) * (negative ? -1 : 1) + 0)
  .map((value) => Math.max(-SAFE, Math.min(SAFE, value)))

const PRIMITIVES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  null: fc.constant(null),
  boolean: fc.boolean(),
  int: fc.integer(INT),
  long,
  float: fc.float({ noNaN: true }),
  double: fc.double({ noNaN: true }),
  string: fc.string({ unit: 'grapheme', maxLength: 12 }),
  bytes: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
}

const keys = fc.string({ maxLength: 6 }).filter((key) => key !== '__proto__')

/** Values that avsc can write under the schema. */
export function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  if (typeof schema === 'string') return PRIMITIVES[schema]!
  if (Array.isArray(schema)) return fc.oneof(...schema.map(valuesOf))
  const { type, items, values, symbols, fields } = schema as SchemaObject
  if (type === 'array') return fc.array(valuesOf(items!), { maxLength: 4 })
  if (type === 'map')
    return fc.dictionary(keys, valuesOf(values!), { maxKeys: 3, noNullPrototype: true })
  if (type === 'enum') return fc.constantFrom(...symbols!)
  if (type !== 'record') return valuesOf(type)
  return fc.record(Object.fromEntries(fields!.map((field) => [field.name, valuesOf(field.type)])))
}
