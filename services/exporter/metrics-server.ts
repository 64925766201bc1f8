import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type Listening, serve } from '../bus/listen.ts'
import { prometheusFamilies } from '../formats/otlp.ts'
import { type Family, prometheusText } from '../formats/prometheus.ts'
import { prometheusProtobuf } from '../formats/protobuf-prometheus.ts'
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

/** Serves the running totals to Prometheus. Throws LensError configuration_invalid. */
export async function startMetricsServer(
  state: ScrapeState,
  at: { readonly host: string; readonly port: number },
): Promise<Listening> {
  const server = createServer((request, response) => void answer(state, request, response))
  return serve(server, at)
}

async function answer(state: ScrapeState, request: IncomingMessage, response: ServerResponse) {
  const { method, url = '', headers } = request
  if (method !== 'GET' || !/^\/metrics(\?|$)/.test(url)) {
    response.writeHead(404).end('ask for GET /metrics\n')
    return
  }
  const { contentType, write } = formFor(headers.accept ?? '')
  const body = write(prometheusFamilies(state.points(Date.now())))
  const isGzip = /\bgzip\b/.test(headers['accept-encoding'] ?? '')
  response.setHeader('content-type', contentType)
  if (isGzip) response.setHeader('content-encoding', 'gzip')
  response.end(isGzip ? await gzipped(body) : body)
}
