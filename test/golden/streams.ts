/** The golden streams: a folder each, with what came over the wire and what it should measure. */
import { readdirSync, readFileSync } from 'node:fs'
import type { RequestEnd, TokenEvents } from '../../schemas/records.ts'
import { readRequest } from '../../services/collector/dialect/reader.ts'
import { dialectOf } from '../../services/collector/dialect/table.ts'
import { attemptOf } from '../../services/collector/headers.ts'
import { createTap } from '../../services/collector/tap.ts'
import type { Close } from '../../services/collector/verdict.ts'

/** stream.json */
export interface Stream {
  /** One line on what is tried. */
  readonly about: string
  readonly request: {
    readonly path: string
    readonly body: object
    /** In lower case; those of guards are believed. */
    readonly headers?: Readonly<Record<string, string>>
  }
  readonly answer: {
    readonly status: number
    readonly contentType: string
    readonly trailers?: Readonly<Record<string, string>>
  }
  /** Milliseconds after the send, and the bytes that were read then. */
  readonly reads: readonly (readonly [number, Part, ...Part[]])[]
  /** How the connection ended, and when. */
  readonly close: readonly [Close, number]
  /** What the proxy knew besides. */
  readonly flags?: readonly string[]
}

/** Text, bytes that are none (a part of a character), or one text so many times. */
type Part = string | { readonly hex: string } | { readonly text: string; readonly times: number }

/** expected.json */
export interface Expected extends Pick<TokenEvents, 'model' | 'gaps_us' | 'tokens'> {
  readonly token_source: TokenEvents['token_source']
  /** Without the fields that say nothing. */
  readonly end: Partial<RequestEnd>
  /** What the collector counted as odd. */
  readonly faults?: Readonly<Record<string, number>>
}

export interface Golden {
  readonly name: string
  readonly stream: Stream
  readonly expected: Expected
}

const FOLDER = new URL('./streams/', import.meta.url)

/** All of them, in the order of their names. */
export function goldenStreams(): readonly Golden[] {
  return readdirSync(FOLDER)
    .sort()
    .map((name) => {
      const read = (file: string) =>
        JSON.parse(readFileSync(new URL(`${name}/${file}`, FOLDER), 'utf8'))
      return { name, stream: read('stream.json'), expected: read('expected.json') }
    })
}

/** Bytes with the time at which they were read. */
export type Read = readonly [elapsedUs: number, bytes: Buffer]

/** The reads of a stream. */
export function readsOf({ reads }: Stream): readonly Read[] {
  return reads.map(([ms, ...parts]) => [ms * 1000, Buffer.concat(parts.map(bytesOf))])
}

function bytesOf(part: Part): Buffer {
  if (typeof part === 'string') return Buffer.from(part)
  return 'hex' in part ? Buffer.from(part.hex, 'hex') : Buffer.from(part.text.repeat(part.times))
}

/** What the collector makes of a stream that is read so. */
export function measure({ request, answer, close, flags }: Stream, reads: readonly Read[]) {
  const records: TokenEvents[] = []
  const faults: Record<string, number> = {}
  const context = {
    model: '',
    runs: { add: () => {}, remove: () => {}, open: () => 0 },
    publish: (record: TokenEvents) => void records.push(record),
    count: (reason: string) => {
      faults[reason] = (faults[reason] ?? 0) + 1
    },
  }
  const dialect = dialectOf('POST', request.path)!
  const labels = { request_id: 'r', source: '', provider: '', model: '', endpoint: '', region: '' }
  const tap = createTap(context, {
    dialect,
    labels: { ...labels, tenant: '', attributes: {} },
    startedAtUs: 0,
    attempt: attemptOf(request.headers ?? {}),
  })
  tap.told(request.headers ?? {})
  tap.asked(readRequest(JSON.stringify(request.body), dialect)!)
  tap.answered({ ...answer, contentEncoding: '' })
  for (const [elapsedUs, bytes] of reads) tap.read(bytes, elapsedUs)
  tap.told(answer.trailers ?? {})
  for (const flag of flags ?? []) tap.flag(flag)
  tap.end(close[0], close[1] * 1000, '')
  return { records, faults }
}
