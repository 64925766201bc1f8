import type { Sink } from '../bus/port.ts'
import { type Cancel, type Clock, SYSTEM_CLOCK, SYSTEM_TIMERS, type Timers } from './clock.ts'
import { type DeliveryContext, deliver } from './deliver.ts'
import { createFreshSink } from './fresh-sink.ts'
import { createLanes, type Lanes, sizeOf } from './lanes.ts'
import type { Spool, SpoolStats } from './spool.ts'

export interface QueueOptions {
  readonly sink: () => Promise<Sink>
  readonly encode: (topic: string, value: object) => Uint8Array
  /** Partition counts of the topics that records go to. */
  readonly partitions: Readonly<Record<string, number>>
  readonly flushMs?: number
  /** Records and bytes that wait or are on their way, together. */
  readonly recordsMax?: number
  readonly bytesMax?: number
  /**
   * For one delivery with all its attempts. What is under way when a broker dies is sent again by
   * the client until then, with its numbers, so that it is in the log once.
   */
  readonly deadlineMs?: number
  /** Where records go that do not fit or cannot be sent; closed by close(). */
  readonly spool?: Spool | undefined
  /** How long records wait here while their partition takes none. */
  readonly spoolAfterMs?: number
  readonly log: (line: string) => void
  readonly clock?: Clock
  readonly timers?: Timers
}

/** Every record that was added, or restored, is in exactly one of these, or in the spool. */
export interface QueueStats {
  readonly sent: number
  /** Certainly not in the log, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Perhaps in the log; never sent again. */
  readonly unknown: number
  readonly queued: number
  /** `replayed` of `sent` came from the spool. */
  readonly spool?: SpoolStats & { readonly replayed: number }
}

/** Between the tap and the log: takes records at any rate, sends them soon, holds a bounded lot. */
export interface Queue {
  /**
   * Takes a record, or one that is encoded already. Never waits and never throws; what does not fit
   * is dropped and counted.
   */
  add(topic: string, key: string, value: object | Uint8Array): void
  /** Whether so many records, of so many bytes with their keys, would all be taken now. */
  hasRoom(records: number, bytes: number): boolean
  stats(): QueueStats
  /** Sends what is left, within half a minute, and closes the sink. */
  close(): Promise<void>
}

/** Closing takes no longer than this. */
const CLOSE_MS = 30_000

/** With a spool, closing waits for a log that is away no longer than this. */
const CLOSE_SPOOLING_MS = 2_000

/** A queue with what the spool has. The sink is opened when there is something to send. */
export function createQueue(options: QueueOptions): Queue {
  const { encode, log, spool, timers = SYSTEM_TIMERS, clock = SYSTEM_CLOCK } = options
  const { flushMs = 100, recordsMax = 20_000, bytesMax = 64 << 20, deadlineMs = 120_000 } = options
  const tally = createTally(log, spool)
  const sink = createFreshSink(() => options.sink().then(announced), timers)
  const context: DeliveryContext = { sink, clock, timers, deadlineMs, log }
  const lanes = createLanes({
    partitions: options.partitions,
    send: (topic, partition, records) => deliver(context, { topic, partition, records }),
    settle(records, outcome, spooled) {
      tally.settle(outcome, records.length, spooled)
      if (!spooled) for (const record of records) bytes -= sizeOf(record)
    },
    clock,
    spool,
    spoolAfterMs: options.spoolAfterMs ?? 2_000,
  })
  let bytes = 0
  let timer: Cancel | null = null
  let closing: Promise<void> | null = null
  if (lanes.pending() > 0) timer = timers.after(flushMs, onTimer)

  /** Takes the record, or says why not. */
  function refusal(topic: string, key: string, value: object): string | null {
    if (closing !== null) return 'closed'
    if (!spool && tally.queued() >= recordsMax) return 'records_full'
    const encoded = value instanceof Uint8Array ? value : encode(topic, value)
    const record = { key, value: encoded }
    const size = sizeOf(record)
    if (!spool && bytes + size > bytesMax) return 'bytes_full'
    lanes.add(topic, record)
    tally.take(1)
    bytes += size
    timer ??= timers.after(flushMs, onTimer)
    if (!spool || !isOver(1) || (lanes.spill('all') > 0 && !isOver(1))) return null
    lanes.removeLast()
    tally.take(-1)
    bytes -= size
    return spool.trouble()
  }

  function isOver(share: number): boolean {
    return tally.queued() > recordsMax * share || bytes > bytesMax * share
  }

  function onTimer(): void {
    if (spool) {
      lanes.spill('old')
      if (isOver(1 / 2)) lanes.spill('held_up')
    }
    lanes.flush()
    // A lane that is busy with its last send gets its turn later; with a spool, it may get it back.
    const more = lanes.pending() > 0 || (spool && lanes.sending() > 0)
    timer = more ? timers.after(flushMs, onTimer) : null
  }

  /** The lanes hear of a send right before it begins. */
  function announced(open: Sink): Sink {
    return {
      async append(topic, partition, records, signal) {
        await lanes.begin(topic, partition)
        return open.append(topic, partition, records, signal)
      },
      close: () => open.close(),
    }
  }

  async function close(): Promise<void> {
    timer?.()
    const closeMs = Math.min(CLOSE_MS, deadlineMs)
    const drainMs = spool ? Math.min(CLOSE_SPOOLING_MS, closeMs) : closeMs
    await drain(lanes, timers, { deadlineMs: drainMs, pauseMs: flushMs })
    if (lanes.begun() > 0) await within(closeMs - drainMs, timers, lanes.idle())
    lanes.abandon()
    await sink.close().catch((error: unknown) => log(`the sink did not close: ${said(error)}`))
    spool?.close()
  }

  return {
    add(topic, key, value) {
      try {
        const reason = refusal(topic, key, value)
        if (reason !== null) tally.drop(reason)
      } catch (error) {
        tally.drop('not_encodable', error)
      }
    },
    hasRoom(records, size) {
      const fits = tally.queued() + records <= recordsMax && bytes + size <= bytesMax
      return closing === null && fits
    },
    stats: tally.stats,
    close() {
      closing ??= close()
      return closing
    },
  }
}

/** Flushes until the lanes are empty, or for `deadlineMs`; leaves alone what is in the spool. */
async function drain(
  lanes: Lanes,
  timers: Timers,
  { deadlineMs, pauseMs }: { readonly deadlineMs: number; readonly pauseMs: number },
): Promise<void> {
  let late = false
  async function drained(): Promise<void> {
    for (;;) {
      lanes.flush()
      await lanes.idle()
      if (late || lanes.waiting() + lanes.sending() === 0) return
      // What came back at once must not keep the deadline from coming.
      await new Promise<void>((resolve) => timers.after(pauseMs, resolve))
    }
  }
  await within(deadlineMs, timers, drained())
  late = true
}

/** Resolves with `work`, which never rejects, or when time is up. */
async function within(deadlineMs: number, timers: Timers, work: Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = timers.after(deadlineMs, resolve)
    work.then(cancel).then(resolve)
  })
}

function createTally(log: (line: string) => void, spool: Spool | undefined) {
  const dropped: Record<string, number> = {}
  let sent = 0
  let unknown = spool?.stats().unknown ?? 0
  let queued = 0
  let replayed = 0

  function drop(reason: string, error?: unknown, records = 1): void {
    // The first of its kind is told, the others are counted: a flood must not become two.
    const why = error === undefined ? '' : `: ${said(error)}`
    if (dropped[reason] === undefined) log(`records are dropped, ${reason}${why}`)
    dropped[reason] = (dropped[reason] ?? 0) + records
  }

  return {
    drop,
    take(records: number) {
      queued += records
    },
    queued: () => queued,
    settle(outcome: string, records: number, spooled: boolean) {
      if (!spooled) queued -= records
      if (outcome === 'spooled') return
      if (outcome === 'sent' && spooled) replayed += records
      if (outcome === 'sent') sent += records
      else if (outcome === 'unknown') unknown += records
      else drop(outcome, undefined, records)
    },
    stats(): QueueStats {
      const stats = { sent, dropped: { ...dropped }, unknown, queued }
      return spool ? { ...stats, spool: { ...spool.stats(), replayed } } : stats
    },
  }
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
