/**
 * Writes schemas/records.ts, the record types, from schemas/avro/*.avsc.
 * usage: npm run generate            (test/schemas/records.test.ts fails when the file is stale)
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

type Schema = string | Schema[] | SchemaObject
interface SchemaObject {
  type: Schema
  name?: string
  doc?: string
  items?: Schema
  values?: Schema
  symbols?: string[]
  fields?: { name: string; type: Schema; doc?: string }[]
}

const PRIMITIVES: Record<string, string> = {
  string: 'string',
  int: 'number',
  long: 'number',
  double: 'number',
  boolean: 'boolean',
  bytes: 'Uint8Array',
  null: 'null',
}

/** The TypeScript source of one .avsc file's records; named types are added to `out` once. */
function typeOf(schema: Schema, out: Map<string, string>): string {
  if (typeof schema === 'string') return PRIMITIVES[schema] ?? schema
  if (Array.isArray(schema)) return schema.map((branch) => typeOf(branch, out)).join(' | ')
  if (schema.type === 'array') return `readonly ${wrap(typeOf(schema.items!, out))}[]`
  if (schema.type === 'map') return `Readonly<Record<string, ${typeOf(schema.values!, out)}>>`
  if (schema.type === 'enum') {
    if (out.has(schema.name!)) throw new Error(`two types are named ${schema.name}`)
    out.set(
      schema.name!,
      `export type ${schema.name} = ${schema.symbols!.map((s) => `'${s}'`).join(' | ')}\n`,
    )
    return schema.name!
  }
  if (schema.type !== 'record') return typeOf(schema.type, out)
  if (out.has(schema.name!)) throw new Error(`two types are named ${schema.name}`)
  out.set(schema.name!, '')
  const fields = schema.fields!.map(
    (field) =>
      `${comment(field.doc ?? docOf(field.type), '  ')}  readonly ${field.name}: ${typeOf(field.type, out)}\n`,
  )
  out.delete(schema.name!)
  out.set(
    schema.name!,
    `${comment(schema.doc, '')}export interface ${schema.name} {\n${fields.join('')}}\n`,
  )
  return schema.name!
}

function wrap(type: string): string {
  return type.includes(' ') ? `(${type})` : type
}

function docOf(schema: Schema): string | undefined {
  return typeof schema === 'object' && !Array.isArray(schema) ? schema.doc : undefined
}

function comment(doc: string | undefined, indent: string): string {
  return doc ? `${indent}/** ${doc} */\n` : ''
}

/** The whole text of schemas/records.ts. */
export function generateRecords(folder: string): string {
  const out = new Map<string, string>()
  for (const file of readdirSync(folder).sort()) {
    typeOf(JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')), out)
  }
  return `// Generated from schemas/avro by \`npm run generate\`; do not edit.\n\n${[...out.values()].join('\n')}`
}

if (import.meta.main) {
  const root = new URL('../../', import.meta.url).pathname
  writeFileSync(`${root}schemas/records.ts`, generateRecords(`${root}schemas/avro`))
}
