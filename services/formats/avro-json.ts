/** An Avro schema, as far as the records of this system use it. */
export type AvroSchema = string | readonly AvroSchema[] | AvroType

interface AvroType {
  readonly type: AvroSchema
  readonly name?: string
  readonly fields?: readonly AvroField[]
  readonly items?: AvroSchema
  readonly values?: AvroSchema
  readonly symbols?: readonly string[]
}

interface AvroField {
  readonly name: string
  readonly type: AvroSchema
  readonly default?: unknown
}

/** A value that can be encoded, or the first field that cannot be, and what it must be. */
export type JsonReading =
  | { readonly value: unknown }
  | { readonly field: string; readonly must: string }

/** Reads the value of one field, whose path is known; throws Misfit. */
type Read = (value: unknown, path: string) => unknown

class Misfit extends Error {
  readonly path: string
  readonly must: string
  constructor(path: string, must: string) {
    super(`${path} must ${must}`)
    this.path = path
    this.must = must
  }
}

const INT_MAX = 2 ** 31 - 1

/**
 * Reads parsed JSON as a value of a schema, as people write it: fields by their names, those with a
 * default left out at will, unions without the name of their branch. Not Avro's own JSON encoding.
 */
export function createAvroJsonReader(schema: AvroSchema): (json: unknown) => JsonReading {
  const read = readerOf(schema)
  return (json) => {
    try {
      return { value: read(json, '') }
    } catch (error) {
      if (error instanceof Misfit) return { field: error.path, must: error.must }
      throw error
    }
  }
}

function readerOf(schema: AvroSchema): Read {
  if (typeof schema === 'string') return primitive(schema)
  if (isUnion(schema)) return union(schema)
  const { type, fields, items, values, symbols } = schema
  if (type === 'record') return record(fields!)
  if (type === 'array') return list(readerOf(items!))
  if (type === 'map') return map(readerOf(values!))
  if (type === 'enum') return symbol(symbols!)
  return readerOf(type)
}

function isUnion(schema: AvroSchema): schema is readonly AvroSchema[] {
  return Array.isArray(schema)
}

const PRIMITIVES: Readonly<Record<string, readonly [(value: unknown) => boolean, string]>> = {
  null: [(value) => value === null, 'be null'],
  string: [(value) => typeof value === 'string', 'be a text'],
  boolean: [(value) => typeof value === 'boolean', 'be true or false'],
  int: [(value) => isWhole(value, INT_MAX), 'be a whole number of 32 bits'],
  long: [(value) => isWhole(value, Number.MAX_SAFE_INTEGER), 'be a whole number below 2^53'],
  double: [(value) => Number.isFinite(value), 'be a number'],
}

function isWhole(value: unknown, max: number): boolean {
  return Number.isInteger(value) && Math.abs(value as number) <= max
}

function primitive(name: string): Read {
  const [fits, must] = PRIMITIVES[name]!
  return (value, path) => {
    if (!fits(value)) throw new Misfit(path, must)
    return value
  }
}

/** Null, or the one other branch. */
function union(branches: readonly AvroSchema[]): Read {
  const read = readerOf(branches.find((branch) => branch !== 'null')!)
  return (value, path) => (value === null ? null : read(value, path))
}

function record(fields: readonly AvroField[]): Read {
  const readers = fields.map(({ name, type, ...more }) => ({ name, read: readerOf(type), ...more }))
  const names = new Set(fields.map(({ name }) => name))
  return (value, path) => {
    const given = objectOf(value, path)
    for (const name of Object.keys(given)) {
      if (!names.has(name))
        throw new Misfit(within(path, name), 'be left out: there is no such field')
    }
    const entries = readers.map(({ name, read, default: absent }) => {
      if (Object.hasOwn(given, name)) return [name, read(given[name], within(path, name))]
      if (absent === undefined) throw new Misfit(within(path, name), 'be given')
      return [name, absent]
    })
    return Object.fromEntries(entries)
  }
}

function list(read: Read): Read {
  return (value, path) => {
    if (!Array.isArray(value)) throw new Misfit(path, 'be a list')
    return value.map((item, i) => read(item, `${path}[${i}]`))
  }
}

function map(read: Read): Read {
  return (value, path) => {
    const entries = Object.entries(objectOf(value, path))
    return Object.fromEntries(entries.map(([key, item]) => [key, read(item, within(path, key))]))
  }
}

function symbol(symbols: readonly string[]): Read {
  return (value, path) => {
    if (!symbols.includes(value as string))
      throw new Misfit(path, `be one of ${symbols.join(', ')}`)
    return value
  }
}

function objectOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject) throw new Misfit(path, 'be an object')
  return value as Readonly<Record<string, unknown>>
}

function within(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
