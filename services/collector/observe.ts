import type { Status, TokenEvents, TokenSource } from '../../schemas/records.ts'
import { type Clock, type Moment, momentNow, SYSTEM_CLOCK } from './clock.ts'
import type { Dialect } from './dialect/dialect.ts'
import { OPENAI } from './dialect/openai.ts'
import { createReader, type Reader } from './dialect/reader.ts'
import { httpErrorType, wordOf } from './error-type.ts'
import { createMeter, type Ending, type Meter } from './meter.ts'
import { NO_PHASES, type Phases } from './phases.ts'
import { SHARED_RUNS } from './runs.ts'
import { harmless, isAbort, labelsOf, publisherOf, type Target } from './target.ts'

/** What one item of the stream is to the measures. */
export interface ItemReading {
  readonly output: boolean
  /** Output tokens in it; null when unknown. */
  readonly tokens: number | null
}

export interface ObserveOptions<T> extends Target {
  /** Whose objects the items are; by default the chunks of OpenAI's completions. */
  readonly dialect?: Dialect
  /** Reads items that are of no dialect. */
  readonly chunkOf?: (item: T) => ItemReading
  /** Where the counts of `chunkOf` come from. */
  readonly tokenSource?: TokenSource
  /** Asked at the end: what a guard or a draft model did for the request. */
  readonly phases?: () => Partial<Phases>
  /** momentNow() right before the request was sent; by default the call of observe(). */
  readonly sent?: Moment
}

/**
 * Yields the items of a stream unchanged and publishes its TokenEvents: status ok when it ends,
 * error when it throws, cancelled when the caller stops early. Measuring never throws.
 */
export function observe<T>(
  items: AsyncIterable<T>,
  options: ObserveOptions<T>,
): AsyncGenerator<T, void, undefined> {
  const { clock = SYSTEM_CLOCK } = options
  // Here, not in the generator, whose body waits for the first item to be asked for.
  return watch(items, options, clock, options.sent ?? momentNow(clock))
}

async function* watch<T>(
  items: AsyncIterable<T>,
  options: ObserveOptions<T>,
  clock: Clock,
  sent: Moment,
): AsyncGenerator<T, void, undefined> {
  const { runs = SHARED_RUNS, dialect = OPENAI, chunkOf } = options
  const publish = publisherOf(options)
  const meter = createMeter(labelsOf(options.labels), sent.wallUs, options.tokenSource)
  const reader = createReader(dialect)
  const elapsedUs = () => clock.monotonicUs() - sent.monotonicUs
  const take = harmless((item: T) => {
    const atUs = elapsedUs()
    const { chunks, tokens } = chunkOf ? readWith(chunkOf, item) : readChunk(reader, meter, item)
    for (let i = 0; i < chunks; i++) if (meter.chunk(atUs, tokens)) publish(meter.take()!)
  })
  let status: Status = 'cancelled'
  let errorType = ''
  runs.add(meter, publish)
  try {
    for await (const item of items) {
      take(item)
      yield item
    }
    status = 'ok'
  } catch (error) {
    // Client libraries throw when the caller itself aborts the request.
    status = isAbort(error) ? 'cancelled' : 'error'
    errorType = status === 'error' ? thrownErrorType(error) : ''
    throw error
  } finally {
    runs.remove(meter)
    const durationUs = elapsedUs()
    let phases = NO_PHASES
    harmless(() => {
      phases = { ...phases, ...options.phases?.() }
    })(undefined)
    harmless(() => publish(endOf(meter, reader, { status, errorType }, { durationUs, phases })))(
      undefined,
    )
  }
}

function endOf(
  meter: Meter,
  reader: Reader,
  verdict: { readonly status: Status; readonly errorType: string },
  more: Pick<Ending, 'durationUs' | 'phases'>,
): TokenEvents {
  const { model, finishReason, usage, errorType } = reader.facts()
  const { status } = errorType === '' ? verdict : { status: 'error' as const }
  const quality = status === 'ok' && usage.outputTokens === null ? ['no_usage'] : []
  meter.nameModel(model)
  return meter.end({
    status,
    errorType: errorType || verdict.errorType,
    finishReason,
    usage,
    quality,
    ...more,
  })
}

function readChunk(
  reader: Reader,
  meter: Meter,
  item: unknown,
): { chunks: number; tokens: number | null } {
  const reading = reader.object(item)
  if (reading.kind !== 'output') return { chunks: 0, tokens: null }
  if (meter.chunks() === 0) meter.nameModel(reader.facts().model)
  return reading
}

function readWith<T>(chunkOf: (item: T) => ItemReading, item: T) {
  const { output, tokens } = chunkOf(item)
  return { chunks: output ? 1 : 0, tokens }
}

function thrownErrorType(error: unknown): string {
  const { status, code, name } = (error ?? {}) as {
    status?: unknown
    code?: unknown
    name?: unknown
  }
  if (typeof status === 'number') return httpErrorType(status)
  return wordOf(code) ?? wordOf(name) ?? 'error'
}
