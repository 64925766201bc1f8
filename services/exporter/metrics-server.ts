import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type Listening, serve } from '../bus/listen.ts'
import { prometheusFamilies } from '../formats/otlp.ts'
import { type Family, prometheusText } from '../formats/prometheus.ts'
import { prometheusProtobuf } from '../formats/protobuf-prometheus.ts'
import type { Exemplars } from './exemplars.ts'
import type { ScrapeState } from './scrape-state.ts'

const FAMILY = 'io.prometheus.client.MetricFamily'

/** What a scrape can be, the least first: whoever accepts anything gets that. */
interface Form {
  readonly accepts: RegExp
  readonly contentType: string
  readonly write: (families: readonly Family[]) => string | Uint8Array
}

const TEXT: Form = {
  accepts: /^(text\/plain|\*\/\*)/,
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  write: (families) => prometheusText(families, 'prometheus'),
}

const FORMS: readonly Form[] = [
  TEXT,
  {
    accepts: /^application\/openmetrics-text/,
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    write: (families) => prometheusText(families, 'openmetrics'),
  },
  {
    accepts: /^application\/vnd\.google\.protobuf.*proto=io\.prometheus\.client\.MetricFamily/,
    contentType: `application/vnd.google.protobuf; proto=${FAMILY}; encoding=delimited`,
    write: prometheusProtobuf,
  },
]

const gzipped = promisify(gzip)

/** The form that a scraper would like best of those that there are. */
export function formFor(accept: string): Form {
  const wishes = accept.split(',').map((text) => {
    const q = Number(/;\s*q=([\d.]+)/.exec(text)?.[1] ?? 1)
    return { q, form: FORMS.find(({ accepts }) => accepts.test(text.trim())) }
  })
  return wishes.filter(({ form }) => form).sort((a, b) => b.q - a.q)[0]?.form ?? TEXT
}

/** What a scrape is made of. */
export interface Scraped {
  readonly state: ScrapeState
  readonly exemplars?: Exemplars
}

/** Serves the running totals to Prometheus. Throws LensError configuration_invalid. */
export async function startMetricsServer(
  scraped: Scraped,
  at: { readonly host: string; readonly port: number },
): Promise<Listening> {
  const server = createServer((request, response) => void answer(scraped, request, response))
  return serve(server, at)
}

async function answer(scraped: Scraped, request: IncomingMessage, response: ServerResponse) {
  const { method, url = '', headers } = request
  if (method !== 'GET' || !/^\/metrics(\?|$)/.test(url)) {
    response.writeHead(404).end('ask for GET /metrics\n')
    return
  }
  const { contentType, write } = formFor(headers.accept ?? '')
  const points = scraped.state.points(Date.now())
  const body = write(prometheusFamilies(points, scraped.exemplars?.of))
  const isGzip = /\bgzip\b/.test(headers['accept-encoding'] ?? '')
  response.setHeader('content-type', contentType)
  if (isGzip) response.setHeader('content-encoding', 'gzip')
  response.end(isGzip ? await gzipped(body) : body)
}
