import type { TokenEvents } from '../../schemas/records.ts'
import { AGGREGATES, RESOURCE_SAMPLES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { StageHealth } from '../bus/health.ts'
import type { StageSpec } from '../bus/run.ts'
import { LensError } from '../core/errors.ts'
import type { Processor } from '../core/processor.ts'
import { otlpMetrics, otlpProtobuf } from '../formats/otlp.ts'
import { spansProtobuf } from '../formats/protobuf-spans.ts'
import type { ExporterConfig } from './config.ts'
import { createLakeBudget } from './lake-budget.ts'
import { createLakeProcessor } from './lake-processor.ts'
import type { LakeRange } from './lake-range.ts'
import { createGrpcTransport } from './otlp-grpc.ts'
import { createHttpTransport } from './otlp-http.ts'
import { createOtlpProcessor, type OtlpExport, type OtlpOptions } from './otlp-processor.ts'
import { createOtlpSender, type OtlpSender } from './otlp-sender.ts'
import { type OtlpSettings, readOtlpSettings } from './otlp-settings.ts'
import { type RangeSink, writeRange } from './range-writer.ts'
import { reportStats } from './report-stats.ts'
import type { ScrapeState } from './scrape-state.ts'
import { spanIdsOf } from './span-ids.ts'
import { createSpanProcessor, type SpanExport } from './span-processor.ts'

type LakeConfig = Pick<ExporterConfig, 'roll' | 'rowsMax' | 'fileBytesMax' | 'memoryBytesMax'>

/**
 * The lake as a stage: what happened, was measured and triggered, into Parquet files. `see` is given
 * the token events that it reads.
 */
export function lakeStage(
  { roll, rowsMax, fileBytesMax, memoryBytesMax }: LakeConfig,
  sink: RangeSink,
  health: StageHealth,
  see?: (record: TokenEvents) => void,
): StageSpec<LakeRange> {
  const options = { rollMs: roll, rowsMax, bytesMax: fileBytesMax }
  const budget = createLakeBudget(memoryBytesMax)
  return {
    name: 'exporter-lake',
    group: 'lens-exporter-lake',
    topics: [TOKEN_EVENTS, RESOURCE_SAMPLES, AGGREGATES, TRIGGER_EVENTS],
    // Windowing puts the bad ones of both raw topics there, and nothing else writes to the others.
    deadLetters: false,
    create(assignment) {
      const processor = reportStats(createLakeProcessor(assignment, options, budget), health)
      return see && assignment.topic === TOKEN_EVENTS ? seenBy(see, processor) : processor
    },
    assigned: budget.reset,
    carryOut: (effect) => writeRange(effect, sink),
  }
}

/** The same processor, of whose records somebody else sees each first. */
function seenBy(
  see: (record: TokenEvents) => void,
  processor: Processor<LakeRange>,
): Processor<LakeRange> {
  return {
    ...processor,
    onBatch(batch) {
      for (const { bad, value } of batch.records) if (bad === null) see(value as TokenEvents)
      return processor.onBatch(batch)
    },
  }
}

/** What Prometheus scrapes, as a stage: the same totals, kept in memory. */
export function scrapeStage(
  { otlpGrouping: grouping, otlpViews: views }: Pick<ExporterConfig, 'otlpGrouping' | 'otlpViews'>,
  state: ScrapeState,
  health: StageHealth,
): StageSpec<OtlpExport> {
  const options = { grouping, views, temporality: 'cumulative', saysAll: true } as const
  return {
    name: 'exporter-prometheus',
    group: 'lens-exporter-prometheus',
    topics: [AGGREGATES],
    deadLetters: false,
    create: (assignment) => reportStats(createOtlpProcessor(assignment, options), health),
    assigned: state.reset,
    async carryOut(effect) {
      health.count('series_dropped', state.take(effect))
    },
  }
}

/** OTLP as a stage with its own offsets, so that its outage does not hold up the lake; or null. */
export function otlpStage(
  { otlpEndpoint, otlpGrouping, otlpViews }: OtlpConfig,
  health: StageHealth,
  env: Readonly<Record<string, string | undefined>>,
  log: (line: string) => void,
): StageSpec<OtlpExport> | null {
  const settings = readOtlpSettings('metrics', otlpEndpoint, env)
  if (!settings) return null
  const { temporality } = settings
  const options = { grouping: otlpGrouping, views: otlpViews, temporality }
  return otlpStageOf(senderTo(settings), options, health, log)
}

type OtlpConfig = Pick<ExporterConfig, 'otlpEndpoint' | 'otlpGrouping' | 'otlpViews'>

/** The same with a sender of one's own. */
export function otlpStageOf(
  sender: OtlpSender,
  options: OtlpOptions,
  health: StageHealth,
  log: (line: string) => void,
): StageSpec<OtlpExport> {
  const isDelta = options.temporality === 'delta'
  return {
    name: 'exporter-otlp',
    group: 'lens-exporter-otlp',
    topics: [AGGREGATES],
    deadLetters: false,
    create: (assignment) => reportStats(createOtlpProcessor(assignment, options), health),
    async carryOut({ points, instance }) {
      const body = otlpProtobuf(otlpMetrics(points, instance, isDelta))
      await sendCounted({ sender, health, log, what: 'points' }, body, points.length)
    },
  }
}

/** Spans of requests as a stage of its own, or null. */
export function spanStage(
  { otlpEndpoint, spanShare, spanSlowTtft, spanSlowE2e }: SpanConfig,
  health: StageHealth,
  env: Readonly<Record<string, string | undefined>>,
  log: (line: string) => void,
): StageSpec<SpanExport> | null {
  if (spanShare === null) return null
  const settings = readOtlpSettings('trace', otlpEndpoint, env)
  if (!settings) {
    const message = '--span-share: give OTEL_EXPORTER_OTLP_ENDPOINT, where spans are to go'
    throw new LensError('configuration_invalid', message)
  }
  const sender = senderTo(settings)
  const slow = { slowTtftUs: spanSlowTtft * 1000, slowE2eUs: spanSlowE2e * 1000 }
  const rules = { share: spanShare, ...slow }
  return {
    name: 'exporter-spans',
    group: 'lens-exporter-spans',
    topics: [TOKEN_EVENTS],
    deadLetters: false,
    create: (assignment) => reportStats(createSpanProcessor(assignment, rules), health),
    async carryOut({ spans, instance }) {
      const body = spansProtobuf(spans, instance, spanIdsOf)
      await sendCounted({ sender, health, log, what: 'spans' }, body, spans.length)
    },
  }
}

type SpanConfig = Pick<
  ExporterConfig,
  'otlpEndpoint' | 'spanShare' | 'spanSlowTtft' | 'spanSlowE2e'
>

function senderTo(settings: OtlpSettings): OtlpSender {
  const isGrpc = settings.protocol === 'grpc'
  const transport = isGrpc ? createGrpcTransport(settings) : createHttpTransport(settings, Date.now)
  return createOtlpSender(transport)
}

interface Sending {
  readonly sender: OtlpSender
  readonly health: StageHealth
  readonly log: (line: string) => void
  readonly what: 'points' | 'spans'
}

/** Sends, counts what the endpoint did not take, and says why. */
async function sendCounted({ sender, health, log, what }: Sending, body: Uint8Array, n: number) {
  const { rejected, message } = await sender.send(body, n)
  health.count(`${what}_rejected`, rejected)
  if (rejected > 0) log(`OTLP refused ${rejected} ${what}: ${message}`)
}
