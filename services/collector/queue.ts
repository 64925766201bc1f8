import type { Sink } from '../bus/port.ts'
import { type Cancel, type Clock, SYSTEM_CLOCK, SYSTEM_TIMERS, type Timers } from './clock.ts'
import { type DeliveryContext, deliver } from './deliver.ts'
import { createFreshSink } from './fresh-sink.ts'
import { createLanes, type Lanes, sizeOf } from './lanes.ts'

export interface QueueOptions {
  readonly sink: () => Promise<Sink>
  readonly encode: (topic: string, value: object) => Uint8Array
  /** Partition counts of the topics that records go to. */
  readonly partitions: Readonly<Record<string, number>>
  readonly flushMs?: number
  /** Records and bytes that wait or are on their way, together. */
  readonly recordsMax?: number
  readonly bytesMax?: number
  /** For one delivery with all its attempts, and for the drain at the end. */
  readonly deadlineMs?: number
  readonly log: (line: string) => void
  readonly clock?: Clock
  readonly timers?: Timers
}

/** Every record that was added is in exactly one of these. */
export interface QueueStats {
  readonly sent: number
  /** Certainly not in the log, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Perhaps in the log; never sent again. */
  readonly unknown: number
  readonly queued: number
}

/** Between the tap and the log: takes records at any rate, sends them soon, holds a bounded lot. */
export interface Queue {
  /** Never waits and never throws; what does not fit is dropped and counted. */
  add(topic: string, key: string, value: object): void
  stats(): QueueStats
  /** Sends what is left, within the deadline, and closes the sink. */
  close(): Promise<void>
}

/** An empty queue. The sink is opened when there is something to send. */
export function createQueue(options: QueueOptions): Queue {
  const { encode, log, timers = SYSTEM_TIMERS, clock = SYSTEM_CLOCK } = options
  const { flushMs = 100, recordsMax = 20_000, bytesMax = 64 << 20, deadlineMs = 30_000 } = options
  const tally = createTally(log)
  const sink = createFreshSink(options.sink, timers)
  const context: DeliveryContext = { sink, clock, timers, deadlineMs, log }
  const lanes = createLanes(
    options.partitions,
    (topic, partition, records) => deliver(context, { topic, partition, records }),
    (records, outcome) => {
      if (closed) return
      tally.settle(outcome, records.length)
      for (const record of records) bytes -= sizeOf(record)
    },
  )
  let bytes = 0
  let timer: Cancel | null = null
  let closing: Promise<void> | null = null
  let closed = false

  /** Takes the record, or says why not. */
  function refusal(topic: string, key: string, value: object): string | null {
    if (closing !== null) return 'closed'
    if (tally.queued() >= recordsMax) return 'records_full'
    const record = { key, value: encode(topic, value) }
    if (bytes + sizeOf(record) > bytesMax) return 'bytes_full'
    lanes.add(topic, record)
    tally.take()
    bytes += sizeOf(record)
    timer ??= timers.after(flushMs, onTimer)
    return null
  }

  function onTimer(): void {
    lanes.flush()
    // A lane that is busy with its last send gets its turn later.
    timer = lanes.waiting() > 0 ? timers.after(flushMs, onTimer) : null
  }

  async function close(): Promise<void> {
    timer?.()
    await drain(lanes, timers, deadlineMs)
    closed = true
    tally.abandon(lanes.waiting(), lanes.sending())
    await sink.close().catch((error: unknown) => log(`the sink did not close: ${said(error)}`))
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
    stats: tally.stats,
    close() {
      closing ??= close()
      return closing
    },
  }
}

/** Flushes until the lanes are empty, or for `deadlineMs`. */
async function drain(lanes: Lanes, timers: Timers, deadlineMs: number): Promise<void> {
  let late = false
  async function drained(): Promise<void> {
    while (!late && lanes.waiting() + lanes.sending() > 0) {
      lanes.flush()
      await lanes.idle()
    }
  }
  await new Promise<void>((resolve) => {
    const cancel = timers.after(deadlineMs, () => {
      late = true
      resolve()
    })
    drained().then(cancel).then(resolve)
  })
}

function createTally(log: (line: string) => void) {
  const dropped: Record<string, number> = {}
  let sent = 0
  let unknown = 0
  let queued = 0

  function drop(reason: string, error?: unknown, records = 1): void {
    if (records === 0) return
    // The first of its kind is told, the others are counted: a flood must not become two.
    const why = error === undefined ? '' : `: ${said(error)}`
    if (dropped[reason] === undefined) log(`records are dropped, ${reason}${why}`)
    dropped[reason] = (dropped[reason] ?? 0) + records
  }

  return {
    drop,
    take() {
      queued += 1
    },
    queued: () => queued,
    settle(outcome: string, records: number) {
      queued -= records
      if (outcome === 'sent') sent += records
      else if (outcome === 'unknown') unknown += records
      else drop(outcome, undefined, records)
    },
    /** Time is up: what waits will not be sent, what is on its way may arrive. */
    abandon(waiting: number, sending: number) {
      queued = 0
      unknown += sending
      drop('close_deadline', undefined, waiting)
    },
    stats: (): QueueStats => ({ sent, dropped: { ...dropped }, unknown, queued }),
  }
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
