import type { RequestEnd, TokenEvents } from '../../schemas/records.ts'
import { chunksOf } from '../core/chunks.ts'
import { hash32 } from '../core/hash.ts'
import type { Assignment, Commit, Plan, Processor } from '../core/processor.ts'
import { hasFailed, type RequestSpan, type SpanRules, spanOf } from '../formats/span.ts'

/** Spans to send in one request, as data. */
export interface SpanExport {
  readonly kind: 'span-export'
  readonly spans: readonly RequestSpan[]
  /** Who they come from: the source topic and partition. */
  readonly instance: string
}

/** What became of the records: spans + unsampled + unended + refused + bad = records. */
export interface SpanStats {
  records: number
  bad: number
  /** Records that end no request. */
  unended: number
  unsampled: number
  /** Records whose times no span can have; windowing dead-letters them. */
  refused: number
  spans: number
}

export type SpanProcessor = Processor<SpanExport> & { readonly stats: Readonly<SpanStats> }

/** Spans in one request; of some 1 kB each. */
const SPANS_MAX = 500

/**
 * Sends a span of each request that failed or was slow, and of a share of the others. Which these
 * are, and their ids, follow from the request alone: whoever sends one again sends the same.
 */
export function createSpanProcessor(assignment: Assignment, rules: SpanRules): SpanProcessor {
  const { topic, partition, committed } = assignment
  const instance = `${topic}-${partition}`
  const stats = { records: 0, bad: 0, unended: 0, unsampled: 0, refused: 0, spans: 0 }
  const idle: Plan<SpanExport> = {
    outputs: [],
    effects: [],
    commit: null,
    wakeMs: Number.POSITIVE_INFINITY,
  }

  return {
    startOffset: committed?.offset ?? null,
    stats,
    onBatch({ records }) {
      let commit: Commit | null = null
      const spans: RequestSpan[] = []
      for (const { offset, bad, value } of records) {
        stats.records += 1
        commit = { offset: offset + 1, metadata: '' }
        const record = value as TokenEvents
        if (bad !== null) stats.bad += 1
        else if (!isEnded(record)) stats.unended += 1
        else if (!isSound(record)) stats.refused += 1
        else if (!isSampled(record, rules)) stats.unsampled += 1
        else spans.push(spanOf(record))
      }
      stats.spans += spans.length
      return { ...idle, effects: exportsOf(spans, instance), commit }
    },
    onTick: () => idle,
    onDrain: () => idle,
  }
}

type Ended = TokenEvents & { readonly end: RequestEnd }

function isEnded(record: TokenEvents): record is Ended {
  return record.end !== null
}

function isSound({ started_at, end: { duration_us, ttft_us } }: Ended): boolean {
  const times = [started_at, duration_us, ttft_us ?? 0, started_at + duration_us]
  return times.every((us) => Number.isSafeInteger(us) && us >= 0)
}

function isSampled(
  { request_id, elapsed_us, gaps_us, end }: Ended,
  { share, slowTtftUs, slowE2eUs }: SpanRules,
): boolean {
  if (hasFailed(end)) return true
  if ((end.ttft_us ?? 0) > slowTtftUs) return true
  if (gaps_us.reduce((sum, gap) => sum + gap, elapsed_us) > slowE2eUs) return true
  return hash32(request_id) < share * 2 ** 32
}

function exportsOf(spans: readonly RequestSpan[], instance: string): SpanExport[] {
  return chunksOf(spans, SPANS_MAX).map((some) => ({ kind: 'span-export', spans: some, instance }))
}
