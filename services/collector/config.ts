import { z } from 'zod'
import { commonOptions, duration, isPlainHttpUrl, PLAIN_HTTP_URL, toggle } from '../bus/config.ts'
import type { RouteRule } from './routes.ts'
import type { TokenizerFile } from './token-worker.ts'

const MEBIBYTE = 1024 * 1024

const httpUrl = z.string().refine(isPlainHttpUrl, PLAIN_HTTP_URL)
const headerName = z
  .string()
  .regex(/^[a-z0-9-]+$/i, 'must be the name of a header')
  .toLowerCase()
/** Parts between commas, without the empty ones. */
const list = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .transform((parts) => parts.filter((part) => part !== ''))
const urlList = list.pipe(z.array(httpUrl).max(16))
/** `/prefix=URL`, separated by commas. */
const routeList = list
  .transform((parts) => parts.map(routeRule))
  .pipe(
    z
      .array(
        z.object({
          prefix: z.string().regex(/^(\/[\w.~-]+)+$/, 'must be a path such as /anthropic'),
          upstream: httpUrl,
          endpoint: z.string(),
          provider: z.string(),
        }),
      )
      .max(16)
      .refine((rules) => new Set(rules.map(({ prefix }) => prefix)).size === rules.length, {
        message: 'names a path twice',
      }),
  )
/** `MODEL=FILE` or `FILE`, separated by commas. */
const tokenizerList = list.transform((parts) => parts.map(tokenizerFile))
/** In which Node wants a whole request. */
const REQUEST_MS_MAX = 300_000
const count = z.coerce.number().int().min(1)

function routeRule(text: string): RouteRule {
  const [prefix = '', ...url] = text.split('=')
  return { prefix, upstream: url.join('='), endpoint: '', provider: '' }
}

function tokenizerFile(text: string): TokenizerFile {
  const [model, ...file] = text.split('=')
  return file.length === 0 ? { model: '', file: text } : { model: model!, file: file.join('=') }
}

/** `name` is the environment variable without its LENS_COLLECTOR_. */
function named(name: string): { env: string } {
  return { env: `LENS_COLLECTOR_${name}` }
}

/** The options of the collector. */
export const collectorConfig = z.strictObject({
  ...commonOptions,
  upstream: httpUrl
    .default('http://127.0.0.1:8000')
    .meta(named('UPSTREAM'))
    .describe('The inference server that requests are passed on to, http or https'),
  route: routeList
    .prefault('')
    .meta(named('ROUTE'))
    .describe('/path=URL, separated by commas: calls below the path go to that URL in its place'),
  host: z.string().default('127.0.0.1').meta(named('HOST')).describe('Address to listen on'),
  port: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8088)
    .meta(named('PORT'))
    .describe('Port of the proxy; 0 takes a free one'),
  ingestPort: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .meta(named('INGEST_PORT'))
    .describe('Port that takes records of programs in other languages (POST); 0 = off'),
  ingestHost: z
    .string()
    .default('127.0.0.1')
    .meta(named('INGEST_HOST'))
    .describe('Address of that port; whoever reaches it may send records, of any tenant'),
  source: z
    .string()
    .max(256)
    .default('')
    .meta(named('SOURCE'))
    .describe('Name of this collector in its records; empty = host name and process id'),
  endpoint: z
    .string()
    .max(256)
    .default('')
    .meta(named('ENDPOINT'))
    .describe('Label endpoint of --upstream; empty = host:port, as of every --route'),
  provider: z
    .string()
    .max(256)
    .default('')
    .meta(named('PROVIDER'))
    .describe('Label provider of --upstream, such as vllm, openai, llama.cpp'),
  model: z
    .string()
    .max(256)
    .default('')
    .meta(named('MODEL'))
    .describe('Label model of calls that name none, as those of TGI and SGLang'),
  tokenizer: tokenizerList
    .prefault('')
    .meta(named('TOKENIZER'))
    .describe(
      'tokenizer.json of models whose server counts no chunks: MODEL=FILE, with commas; FILE = all',
    ),
  region: z.string().max(256).default('').meta(named('REGION')).describe('Label region'),
  tenantHeader: headerName
    .default('x-lens-tenant')
    .meta(named('TENANT_HEADER'))
    .describe('Request header that names the tenant; it is not passed on'),
  guardHeaders: toggle
    .meta({ ...named('GUARD_HEADERS'), flag: 'boolean' })
    .describe(
      'Believe lens-guard-* and lens-speculative-* headers and trailers, and take them out',
    ),
  headTimeout: duration
    .refine((ms) => ms > 0 && ms <= REQUEST_MS_MAX, 'must be more than 0s, and 5m at most')
    .prefault('10s')
    .meta(named('HEAD_TIMEOUT'))
    .describe('Within which a client must have sent the head of its request'),
  clientKeepAlive: duration
    .refine((ms) => ms > 0, 'must be more than 0s')
    .prefault('65s')
    .meta(named('CLIENT_KEEP_ALIVE'))
    .describe('How long an idle connection of a client is kept; more than the client does'),
  connectTimeout: duration
    .prefault('10s')
    .meta(named('CONNECT_TIMEOUT'))
    .describe('Within which a connection to the upstream must stand'),
  upstreamTimeout: duration
    .prefault('10m')
    .meta(named('UPSTREAM_TIMEOUT'))
    .describe('Longest silence of the upstream, before its answer and inside it'),
  upstreamKeepAlive: duration
    .prefault('4s')
    .meta(named('UPSTREAM_KEEP_ALIVE'))
    .describe('How long an idle connection is kept; less than the upstream does (uvicorn: 5s)'),
  connectionsMax: count
    .default(10_000)
    .meta(named('CONNECTIONS_MAX'))
    .describe('Client connections at a time; more are closed at once'),
  runEvery: duration
    .prefault('1s')
    .meta(named('RUN_EVERY'))
    .describe('Time between two records of one stream'),
  scrapeUrl: urlList
    .prefault('')
    .meta(named('SCRAPE_URL'))
    .describe('Pages of metrics of engines and exporters, separated by commas; empty = none'),
  scrapeEvery: duration
    .prefault('2s')
    .meta(named('SCRAPE_EVERY'))
    .describe('Time between two readings of a page'),
  scrapeTimeout: duration
    .prefault('2s')
    .meta(named('SCRAPE_TIMEOUT'))
    .describe('Within which a page must have come'),
  flushEvery: duration
    .prefault('100ms')
    .meta(named('FLUSH_EVERY'))
    .describe('Time that records wait for others to be sent with'),
  queueRecordsMax: count
    .default(20_000)
    .meta(named('QUEUE_RECORDS_MAX'))
    .describe('Records held for sending; when full, new ones go to the spool or are dropped'),
  queueBytesMax: count
    .default(64 * MEBIBYTE)
    .meta(named('QUEUE_BYTES_MAX'))
    .describe('Bytes held for sending'),
  spool: z
    .string()
    .default('')
    .meta(named('SPOOL'))
    .describe(
      'Folder of its own on a local disk, for records while Kafka is away; empty = no spool',
    ),
  spoolBytes: z.coerce
    .number()
    .int()
    .min(0)
    .default(256 * MEBIBYTE)
    .meta(named('SPOOL_BYTES'))
    .describe(
      'Size of the spool; when full, the newest records are dropped, counted; 0 = no spool',
    ),
  sendDeadline: duration
    .prefault('2m')
    .meta(named('SEND_DEADLINE'))
    .describe('Within which records must be acknowledged, with all attempts; 30s when it stops'),
  nice: z.coerce
    .number()
    .int()
    .min(-20)
    .max(19)
    .default(0)
    .meta(named('NICE'))
    .describe('Priority where others use the machine; --nice=-10, below 0, needs CAP_SYS_NICE'),
  stopGrace: duration
    .prefault('10s')
    .meta(named('STOP_GRACE'))
    .describe('Time that open requests get to end when the collector stops'),
})

/** What `collectorConfig` gives; durations are in milliseconds. */
export type CollectorConfig = Readonly<z.infer<typeof collectorConfig>>

/** The head of the --help text. */
export const usage = `usage: npm run lens -- run collector [options]

A proxy in front of an inference server. It passes every call through, byte for byte, and publishes
when the tokens came: of completions and responses as OpenAI has them, of Anthropic's messages, and
of the own APIs of vLLM, SGLang, TGI, Ollama and llama.cpp (docs/collector.md).

With --spool, records wait on disk while Kafka is away and are sent in order when it is back, also
after a restart. When the spool is full, the newest are dropped and counted.

examples:
  npm run lens -- run collector --upstream http://127.0.0.1:8000 --provider vllm
  npm run lens -- run collector --upstream https://api.openai.com --provider openai
  npm run lens -- run collector --route /anthropic=https://api.anthropic.com
  npm run lens -- run collector --spool /var/lib/lens-spool
  npm run lens -- run collector --ingest-port 8089
  npm run lens -- run collector --scrape-url http://127.0.0.1:8000/metrics`
