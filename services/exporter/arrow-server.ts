import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { type Listening, serve } from '../bus/listen.ts'
import { LensError } from '../core/errors.ts'
import { instantMs } from '../core/instant.ts'
import { ARROW } from '../formats/arrow-format.ts'
import type { Dataset } from '../formats/column.ts'
import { DATASETS } from '../formats/datasets.ts'
import { scanLake, type TimeSpan } from '../lake/scan.ts'
import type { ObjectStore } from '../lake/store.ts'

const PATH = '/v1/arrow/'

/** A file of the lake is held for each: whoever comes beyond is asked to come again. */
const READERS_MAX = 4
const STALLED_MS = 30_000

interface Asked {
  readonly dataset: Dataset
  readonly span: TimeSpan
}

/**
 * Serves GET /v1/arrow/DATASET?from=TIME&to=TIME, of event time, the second not included. Throws
 * LensError configuration_invalid when it cannot listen.
 */
export async function startArrowServer(
  store: ObjectStore,
  at: { readonly host: string; readonly port: number },
  log: (line: string) => void,
): Promise<Listening> {
  let readers = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET') return refuse(response, 405, 'only GET is answered')
    const asked = askedFor(request.url!)
    if ('status' in asked) return refuse(response, asked.status, asked.why)
    if (readers === READERS_MAX) {
      response.setHeader('retry-after', '1')
      return refuse(response, 503, `${READERS_MAX} others are being answered`)
    }
    readers++
    // Whoever reads nothing for so long holds a place that others wait for.
    response.setTimeout(STALLED_MS, () => {
      if (response.writableLength > 0) response.destroy()
      else response.setTimeout(STALLED_MS)
    })
    try {
      const parts = arrowOf(store, asked)
      const first = await parts.next()
      response.setHeader('content-type', ARROW.mediaType)
      await pipeline(chained(first.value!, parts), response)
    } catch (error) {
      const { message } = error as Error
      if (!request.destroyed) log(`exporter: ${request.url}: ${message}`)
      // With the head gone, what is missing shows in the stream, which has no end.
      if (response.headersSent) response.destroy()
      else refuse(response, 502, message)
    } finally {
      readers--
    }
  }

  const server = createServer((request, response) => void answer(request, response))
  return serve(server, at)
}

async function* arrowOf(store: ObjectStore, { dataset, span }: Asked): AsyncGenerator<Uint8Array> {
  const writer = ARROW.writer(dataset)
  for await (const rows of scanLake(store, dataset, span)) yield writer.add(rows)
  yield writer.end()
}

async function* chained(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  yield first
  yield* rest
}

type Refusal = { readonly status: number; readonly why: string }

function askedFor(target: string): Asked | Refusal {
  const url = URL.parse(target, 'http://of.the.request')
  if (!url?.pathname.startsWith(PATH)) return { status: 404, why: `ask for ${PATH}DATASET` }
  const name = url.pathname.slice(PATH.length)
  const dataset = DATASETS.find((one) => one.name === name)
  if (!dataset) {
    const known = DATASETS.map((one) => one.name).join(', ')
    return { status: 404, why: `there is no dataset of that name; one of ${known}` }
  }
  try {
    const fromUs = timeOf(url, 'from', Number.NEGATIVE_INFINITY)
    return { dataset, span: { fromUs, toUs: timeOf(url, 'to', Number.POSITIVE_INFINITY) } }
  } catch (error) {
    return { status: 400, why: (error as Error).message }
  }
}

function timeOf({ searchParams }: URL, name: string, other: number): number {
  const text = searchParams.get(name)
  if (text === null) return other
  const ms = instantMs(text)
  if (Number.isFinite(ms)) return ms * 1000
  throw new LensError('configuration_invalid', `${name} is no time; write 2026-11-24T12:00:00Z`)
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${why}\n`)
}
