import { randomUUID } from 'node:crypto'
import { LensError } from '../core/errors.ts'
import { createOrder } from './in-order.ts'
import type { Bus, LogRecord, RecordBatch } from './port.ts'

/** The offsets [from, end) of one partition. */
export interface Span {
  readonly from: number
  readonly end: number
}

/** Takes records of one partition; it is awaited before the next ones, of any partition, come. */
export type Visit = (partition: number, records: readonly LogRecord[]) => void | Promise<void>

/** Nothing for so long, and the rest is not coming. */
const STALL_MS = 60_000

/**
 * Shows `visit` all records of the spans of a topic (by partition), each once: those of a partition
 * in order, those of different ones as they come. Nothing is kept, nothing committed; the reader
 * is a group of its own. Rejects with the first error of `visit`.
 */
export async function readRanges(
  bus: Bus,
  topic: string,
  spans: readonly Span[],
  visit: Visit,
): Promise<void> {
  const next = spans.map(({ from }) => from)
  const left = new Set(spans.flatMap(({ from, end }, i) => (from < end ? [i] : [])))
  if (left.size === 0) return
  const ends = await bus.offsets(topic)
  const source = bus.source(`lens-read-${randomUUID()}`, [topic])
  const ended = Promise.withResolvers<void>()
  let timer = setTimeout(stalled, STALL_MS)
  let isOver = false
  const inOrder = createOrder(() => isOver, fail)

  function fail(error: unknown): void {
    isOver = true
    ended.reject(error)
  }

  function stalled(): void {
    const places = [...left].map((i) => `${topic}-${i}@${next[i]}`).join(' ')
    const message = `no record came for ${STALL_MS / 1000} s at ${places}; try again`
    fail(new LensError('broker_unavailable', message, { retryable: true }))
  }

  async function take({ partition, records, end }: RecordBatch): Promise<void> {
    // Only waiting is bounded: a visit may take its time.
    clearTimeout(timer)
    const from = next[partition]!
    const wanted = records.filter(({ offset }) => offset >= from && offset < spans[partition]!.end)
    // Noted first: after a rebalance the part may come again.
    next[partition] = Math.max(from, end)
    if (wanted.length > 0) await visit(partition, wanted)
    if (next[partition]! >= spans[partition]!.end) left.delete(partition)
    if (left.size === 0) ended.resolve()
    else timer = setTimeout(stalled, STALL_MS)
  }

  try {
    await source.run({
      assigned(owned) {
        for (const { partition } of owned) {
          const to = left.has(partition) ? next[partition]! : (ends[partition]?.end ?? 0)
          source.seek(topic, partition, to)
        }
      },
      async batch(batch, { isStale }) {
        if (!left.has(batch.partition) || isStale()) return
        await inOrder(() => take(batch))
      },
      failed: fail,
    })
    await ended.promise
  } finally {
    isOver = true
    clearTimeout(timer)
    await source.stop()
  }
}
