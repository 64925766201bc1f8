import { readFileSync } from 'node:fs'
import type { TokenEvents } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS, topicNamed } from '../../schemas/topics.ts'
import { createAvroJsonReader } from '../formats/avro-json.ts'
import { fieldsOf } from './dialect/fields.ts'
import { brokenRule, withEnd } from './ingest-rules.ts'

/** Why a request is not taken. */
export interface IngestFault {
  readonly status: 400 | 415
  readonly code: string
  readonly message: string
}

/** A record as it will be encoded. */
export type IngestRecord = Readonly<Record<string, unknown>>

/** All records of a body, or what is wrong with the first that is bad. */
export interface IngestReading {
  readonly records: readonly IngestRecord[]
  readonly fault: IngestFault | null
}

/** How a body of a media type becomes values; a page of another site cannot send these. */
const FORMS: Readonly<Record<string, 'json' | 'lines'>> = {
  'application/json': 'json',
  'application/x-ndjson': 'lines',
  'application/ndjson': 'lines',
  'application/jsonl': 'lines',
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

  function recordOf(topic: string, json: unknown): IngestRecord | { field: string; must: string } {
    const reading = readers.get(topic)!(json)
    if ('must' in reading) return reading
    if (topic !== TOKEN_EVENTS) return reading.value as IngestRecord
    const record = withEnd(reading.value as TokenEvents, fieldsOf(fieldsOf(json).end))
    return brokenRule(record) ?? ({ ...record } as IngestRecord)
  }

  return (topic: string, mediaType: string, text: string): IngestReading => {
    const values = valuesOf(mediaType, text, recordsMax)
    if ('status' in values) return { records: [], fault: values }
    const records: IngestRecord[] = []
    for (const [i, json] of values.entries()) {
      const record = recordOf(topic, json)
      if ('must' in record) {
        const { field, must } = record as { field: string; must: string }
        return { records: [], fault: badRecord(i, `${field || 'it'} must ${must}`) }
      }
      records.push(record)
    }
    return { records, fault: null }
  }
}

function valuesOf(
  mediaType: string,
  text: string,
  recordsMax: number,
): readonly unknown[] | IngestFault {
  const form = FORMS[mediaType]
  if (!form) {
    const message = `Send ${Object.keys(FORMS).slice(0, 2).join(', ')} or application/avro.`
    return { status: 415, code: 'unknown_type', message }
  }
  // One more than may be tells that there are too many.
  const lines = form === 'lines' ? linesOf(text, recordsMax + 1) : [text]
  const values: unknown[] = []
  for (const [i, line] of lines.entries()) {
    try {
      values.push(JSON.parse(line))
    } catch {
      return form === 'lines'
        ? badRecord(i, 'it must be JSON')
        : { status: 400, code: 'bad_json', message: 'the body is no JSON' }
    }
  }
  const all = form === 'json' && Array.isArray(values[0]) ? values[0] : values
  if (all.length <= recordsMax) return all
  return { status: 400, code: 'too_many', message: `a body may hold ${recordsMax} records` }
}

/** The lines that are not empty, up to so many. */
function linesOf(text: string, most: number): readonly string[] {
  const lines: string[] = []
  for (let from = 0; from < text.length && lines.length < most; ) {
    const found = text.indexOf('\n', from)
    const to = found < 0 ? text.length : found
    const line = text.slice(from, to).trim()
    if (line !== '') lines.push(line)
    from = to + 1
  }
  return lines
}

function badRecord(index: number, what: string): IngestFault {
  return { status: 400, code: 'bad_record', message: `record ${index}: ${what}` }
}
