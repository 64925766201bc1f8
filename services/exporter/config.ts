import { z } from 'zod'
import { commonOptions, duration } from '../bus/config.ts'
import { labelName } from '../formats/prometheus.ts'

const ROLL_MIN_MS = 1000
const ROLL_MAX_MS = 3_600_000
const MIB = 1024 * 1024

const port = z.coerce.number().int().min(0).max(65_535).default(0)

function dimensionsOf(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  return names.filter((name) => name !== '')
}

const TWICE = 'names a dimension twice, or two that are one label to Prometheus'

/** Also as labels, in which whatever is no letter or digit is the same. */
function isEachOnce(names: readonly string[]): boolean {
  return new Set(names.map(labelName)).size === names.length
}

/** The exporter's options. */
export const exporterConfig = z.object({
  ...commonOptions,
  lakeUrl: z
    .string()
    .default('data/lake')
    .meta({ env: 'LAKE_URL' })
    .describe('Where Parquet files go: a folder, file:///path or s3://bucket/prefix'),
  roll: duration
    .refine((ms) => ms >= ROLL_MIN_MS && ms <= ROLL_MAX_MS, 'must be from 1s to 1h')
    .prefault('60s')
    .describe('Append time that one file covers: smaller is sooner readable, larger fewer files'),
  rowsMax: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(50_000)
    .describe('Rows after which a file ends before its time'),
  fileBytesMax: z.coerce
    .number()
    .int()
    .min(1)
    .default(64 * MIB)
    .describe('Bytes of rows in memory after which a file ends before its time'),
  memoryBytesMax: z.coerce
    .number()
    .int()
    .min(1)
    .default(256 * MIB)
    .describe('The same of all partitions together: then the largest are written'),
  metricsPort: port.describe('serve GET /metrics for Prometheus on this port; 0 = off'),
  metricsHost: z.string().default('127.0.0.1').describe('address that it listens on'),
  metricsSeriesMax: z.coerce
    .number()
    .int()
    .min(1)
    .default(50_000)
    .describe('Totals that a scrape has at most, a histogram as one, and as many gauges'),
  arrowPort: port.describe('serve GET /v1/arrow/DATASET for notebooks on this port; 0 = off'),
  arrowHost: z
    .string()
    .default('127.0.0.1')
    .describe('address that it listens on; whoever reaches it can read the lake'),
  otlpEndpoint: z
    .string()
    .default('')
    .meta({ env: 'OTEL_EXPORTER_OTLP_ENDPOINT' })
    .describe('Base URL of OTLP, for metrics and spans; empty = off'),
  spanShare: z
    .literal('')
    .transform(() => null)
    .or(z.coerce.number().min(0).max(1))
    .prefault('')
    .describe(
      'Share of requests whose span goes to OTLP; 0 = only slow and failed ones, empty = off',
    ),
  spanSlowTtft: duration.prefault('5s').describe('A request whose first chunk came later is slow'),
  spanSlowE2e: duration.prefault('60s').describe('A request whose last chunk came later is slow'),
  otlpGrouping: z
    .string()
    .transform(dimensionsOf)
    .refine(isEachOnce, TWICE)
    .prefault('model,endpoint,region,tenant')
    .describe('Dimensions of the one grouping whose minutes are totals in OTLP and a scrape'),
  otlpViews: z
    .string()
    .transform((text) => (/^(none)?$/i.test(text) ? [] : text.split(';').map(dimensionsOf)))
    .refine((all) => all.every(isEachOnce), TWICE)
    .prefault('model;endpoint')
    .describe(
      'Groupings whose windows of 5 and 15 minutes are gauges in OTLP and a scrape; or none',
    ),
})

export type ExporterConfig = Readonly<z.infer<typeof exporterConfig>>
