/** A queue with a spool in a folder that is removed after the test, and a log that fails. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createQueue, type Queue, type QueueOptions } from '../../../services/collector/queue.ts'
import { openSpool, type Spool, type SpoolOptions } from '../../../services/collector/spool.ts'
import type { FaultyLog } from './faulty-sink.ts'
import { createHandClock, type HandClock } from './hand-clock.ts'

export const PARTITIONS = { a: 4, b: 1 }

export interface Started {
  readonly queue: Queue
  readonly spool: Spool
  readonly clock: HandClock
  readonly lines: string[]
}

const undo: (() => void)[] = []

afterEach(() => {
  for (const step of undo.splice(0).reverse()) step()
})

/** A new folder, or a copy: what a killed process would have left of it. */
export function folderOf(original?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'lens-spool-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
  if (original) cpSync(original, folder, { recursive: true })
  return folder
}

/** A spool that may be closed more than once. */
export function openIn(folder: string, more: Partial<SpoolOptions> = {}): Spool {
  const spool = openSpool({ folder, bytesMax: 1e8, log: () => {}, ...more })
  let open = true
  const close = () => {
    if (open) spool.close()
    open = false
  }
  undo.push(close)
  return { ...spool, close }
}

export function start(
  log: FaultyLog,
  folder: string,
  more: Partial<QueueOptions> & { readonly spoolBytesMax?: number } = {},
): Started {
  const clock = createHandClock()
  const lines: string[] = []
  const say = (line: string) => lines.push(line)
  const spool = openIn(folder, { bytesMax: more.spoolBytesMax ?? 1e8, log: say, clock })
  const queue = createQueue({
    sink: log.open,
    encode: (_, value) => Buffer.from(JSON.stringify(value)),
    partitions: PARTITIONS,
    flushMs: 100,
    deadlineMs: 5000,
    spool,
    log: say,
    clock,
    timers: clock,
    ...more,
  })
  return { queue, spool, clock, lines }
}

/** The numbers in the log, by topic-partition, in order. */
export function numbers({ stored }: FaultyLog): Record<string, number[]> {
  const all: Record<string, number[]> = {}
  for (const { topic, partition, records } of stored) {
    const place = `${topic}-${partition}`
    all[place] ??= []
    for (const { value } of records) all[place].push(JSON.parse(Buffer.from(value).toString()).n)
  }
  return all
}

export function upTo(end: number, from = 0): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i)
}
