import type { TokenSource } from '../../schemas/records.ts'
import { type Clock, type Moment, momentNow, SYSTEM_CLOCK } from './clock.ts'
import type { Dialect } from './dialect/dialect.ts'
import { OPENAI } from './dialect/openai.ts'
import { createReader, type Facts, type Reader } from './dialect/reader.ts'
import { httpErrorType, wordOf } from './error-type.ts'
import { lastRecord } from './last-record.ts'
import { createMeter, type Meter } from './meter.ts'
import { NO_PHASES, type Phases, wholePhases } from './phases.ts'
import { SHARED_RUNS } from './runs.ts'
import { harmless, isAbort, labelsOf, publisherOf, type Target } from './target.ts'
import type { Verdict } from './verdict.ts'

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

/** A caller that held an item so long made the next one late, if that was there at once. */
const HELD_US = 1_000
const AT_ONCE_US = 200

/**
 * Yields the items of a stream unchanged and publishes its TokenEvents: ok when it ends (and its
 * dialect's end mark has come), error when it throws, cancelled when the caller stops early.
 * Measuring never throws. Items are asked for when the caller asks: one that is slow makes the
 * gaps, and is flagged.
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
  let atUs = 0
  const take = harmless((item: T) => {
    const { chunks, tokens } = chunkOf ? readWith(chunkOf, item) : readChunk(reader, meter, item)
    for (let i = 0; i < chunks; i++) if (meter.chunk(atUs, tokens)) publish(meter.take()!)
  })
  const quality = new Set<string>()
  let ending: Verdict = { status: 'cancelled', errorType: '' }
  let resumedUs = 0
  runs.add(meter, publish)
  try {
    for await (const item of items) {
      const heldUs = resumedUs - atUs
      atUs = elapsedUs()
      if (heldUs > HELD_US && atUs - resumedUs < AT_ONCE_US) quality.add('slow_client')
      take(item)
      yield item
      resumedUs = elapsedUs()
    }
    ending = { status: isAborted(items) ? 'cancelled' : 'ok', errorType: '' }
  } catch (error) {
    // Client libraries throw when the caller itself aborts the request.
    const isOwn = isAbort(error) || isAborted(items)
    ending = isOwn ? ending : { status: 'error', errorType: thrownErrorType(error) }
    throw error
  } finally {
    runs.remove(meter)
    const durationUs = elapsedUs()
    let phases = NO_PHASES
    harmless(() => {
      phases = wholePhases({ ...NO_PHASES, ...options.phases?.() })
    })(undefined)
    const marksEnd = dialect.marksEnd && !chunkOf
    harmless(() => {
      const facts = reader.facts()
      const verdict = verdictOn(ending, marksEnd, facts)
      publish(lastRecord(meter, facts, { verdict, isStream: true, quality, durationUs, phases }))
    })(undefined)
  }
}

/** As the loop over the items ended, unless they say more; `marksEnd` if one should tell the end. */
function verdictOn(ending: Verdict, marksEnd: boolean, { errorType, done }: Facts): Verdict {
  if (errorType !== '') return { status: 'error', errorType }
  // Many callers stop at the end mark.
  if (done && ending.status === 'cancelled') return { status: 'ok', errorType: '' }
  if (marksEnd && !done && ending.status === 'ok') return { status: 'truncated', errorType: '' }
  return ending
}

/** The streams of the clients of OpenAI and Anthropic end without a word when they are aborted. */
function isAborted(items: unknown): boolean {
  const { controller } = items as { readonly controller?: unknown }
  return controller instanceof AbortController && controller.signal.aborted
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
  return { chunks: output ? 1 : 0, tokens: Number.isSafeInteger(tokens) ? tokens : null }
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
