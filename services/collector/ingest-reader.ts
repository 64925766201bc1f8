import { readFileSync } from 'node:fs'
import type { TokenEvents } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS, topicNamed } from '../../schemas/topics.ts'
import { createAvroJsonReader } from '../formats/avro-json.ts'

/** Why a request is not taken. */
export interface IngestFault {
  readonly status: 400 | 415
  readonly code: string
  readonly message: string
}

/** All records of a body, or what is wrong with the first that is bad. */
export interface IngestReading {
  readonly records: readonly Readonly<Record<string, unknown>>[]
  readonly fault: IngestFault | null
}

/** What the schema cannot say of a record of token events: the field, and what it must be. */
const RULES: readonly [field: string, holds: (r: TokenEvents) => boolean, must: string][] = [
  ['request_id', (r) => r.request_id !== '', 'not be empty'],
  ['started_at', (r) => r.started_at > 0, 'be microseconds since 1970'],
  ['gaps_us', (r) => r.gaps_us.every(isCount), 'hold no gap below zero'],
  ['tokens', (r) => r.tokens.every(isCount), 'hold no count below zero'],
  ['tokens', (r) => fits(r), 'be empty, or as long as gaps_us'],
  ['first_chunk', (r) => r.first_chunk >= 0, 'not be below zero'],
  ['elapsed_us', (r) => r.elapsed_us >= 0, 'not be below zero'],
  ['elapsed_us', (r) => r.first_chunk > 0 || r.elapsed_us === 0, 'be 0 before the first chunk'],
  ['end.duration_us', (r) => (r.end?.duration_us ?? 0) >= 0, 'not be below zero'],
]

function isCount(value: number): boolean {
  return value >= 0
}

function fits({ tokens, gaps_us }: TokenEvents): boolean {
  return tokens.length === 0 || tokens.length === gaps_us.length
}

/**
 * Reads bodies of JSON (a record or a list of them) and of NDJSON, by the schemas of topics; at
 * most `recordsMax` of them.
 */
export function createIngestReader(recordsMax: number) {
  const readers = new Map(
    [TOKEN_EVENTS, RESOURCE_SAMPLES].map((topic) => {
      const file = new URL(`../../schemas/avro/${topicNamed(topic).schema}.avsc`, import.meta.url)
      return [topic, createAvroJsonReader(JSON.parse(readFileSync(file, 'utf8')))]
    }),
  )
  return (topic: string, contentType: string, text: string): IngestReading => {
    const values = valuesOf(contentType, text, recordsMax)
    if ('status' in values) return { records: [], fault: values }
    const records: Record<string, unknown>[] = []
    for (const [i, json] of values.entries()) {
      const reading = readers.get(topic)!(json)
      const misfit = 'must' in reading ? reading : ruleOf(topic, reading.value as TokenEvents)
      if (misfit !== null) return { records: [], fault: fault(i, misfit.field, misfit.must) }
      records.push((reading as { value: Record<string, unknown> }).value)
    }
    return { records, fault: null }
  }
}

function ruleOf(topic: string, record: TokenEvents) {
  const broken = topic === TOKEN_EVENTS ? RULES.find(([, holds]) => !holds(record)) : undefined
  return broken ? { field: broken[0], must: broken[2] } : null
}

function valuesOf(
  contentType: string,
  text: string,
  recordsMax: number,
): readonly unknown[] | IngestFault {
  const isLines = /\b(x-)?(ndjson|jsonl|jsonlines)\b/i.test(contentType)
  if (!isLines && !/\bjson\b/i.test(contentType)) {
    const message = 'Send application/json, application/x-ndjson or application/avro.'
    return { status: 415, code: 'unknown_type', message }
  }
  const texts = isLines ? text.split('\n').filter((line) => line.trim() !== '') : [text]
  const values: unknown[] = []
  for (const [i, one] of texts.entries()) {
    try {
      values.push(JSON.parse(one))
    } catch {
      const what = isLines ? `record ${i}` : 'the body'
      return { status: 400, code: 'bad_json', message: `${what} is no JSON` }
    }
  }
  const all = !isLines && Array.isArray(values[0]) ? values[0] : values
  if (all.length <= recordsMax) return all
  const message = `A body may hold ${recordsMax} records; this one has ${all.length}.`
  return { status: 400, code: 'too_many', message }
}

function fault(index: number, field: string, must: string): IngestFault {
  const message = `record ${index}: ${field === '' ? 'it' : field} must ${must}`
  return { status: 400, code: 'bad_record', message }
}
