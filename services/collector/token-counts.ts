import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { TokenEvents, TokenSource } from '../../schemas/records.ts'
import { LensError } from '../core/errors.ts'
import type { Publish } from './runs.ts'
import type { Asked, TokenizerFile, Told } from './token-worker.ts'

/** Counts tokens where the server does not, in a thread of its own. */
export interface TokenCounts {
  /** Counts for one request. `count` gets why some of its chunks were not counted. */
  ofRequest(count: (reason: string) => void): RequestTokens
  /** Publishes what waits, counted or not, and ends the thread. */
  stop(): Promise<void>
}

export interface RequestTokens {
  /** What the next chunk says; empty when it says nothing that has tokens to count. */
  say(text: string): void
  /** Publishes a record of the chunks so far when they are counted, behind those before it. */
  readonly publish: Publish
}

/** A record in the line of its request. */
interface Waiting {
  readonly record: TokenEvents
  readonly line: Line
  readonly size: number
  /** Null when nobody counts; undefined until that is known. */
  counts?: Told
}

interface Line {
  /** Publishes those at its beginning that are counted. */
  goOn(): void
}

/** What is held to be counted: about a second's work. Who brings more is published as he is. */
const HELD_CHARS_MAX = 1 << 20
const STOP_MS = 2_000

/** Throws LensError configuration_invalid when a file is no tokenizer. */
export async function openTokenCounts(
  files: readonly TokenizerFile[],
  publish: Publish,
  log: (line: string) => void,
): Promise<TokenCounts> {
  const worker = new Worker(new URL('token-worker.ts', import.meta.url), { workerData: files })
  const [fault] = (await once(worker, 'message')) as [string | null]
  if (fault !== null) {
    await worker.terminate()
    throw new LensError('configuration_invalid', `--tokenizer: ${fault}`)
  }
  /** In the order in which they were asked. */
  const asked: Waiting[] = []
  let held = 0
  let whenDone = () => {}
  let isOver = false

  function settle(waiting: Waiting, counts: Told): void {
    held -= waiting.size
    waiting.counts = counts
    waiting.line.goOn()
  }

  function giveUp(): void {
    isOver = true
    for (const waiting of asked.splice(0)) settle(waiting, null)
  }

  worker.on('message', (told: Told) => {
    const waiting = asked.shift()
    if (waiting) settle(waiting, told)
    if (asked.length === 0) whenDone()
  })
  worker.on('error', (error) => {
    log(`tokens are not counted any more: ${(error as Error).message}`)
    giveUp()
  })
  worker.unref()

  function ofRequest(count: (reason: string) => void): RequestTokens {
    const request = createRequest()
    const waiting: Waiting[] = []
    let said: string[] = []
    let size = 0
    let isBehind = false

    function goOn(): void {
      for (let next = waiting[0]; next?.counts !== undefined; next = waiting[0]) {
        waiting.shift()
        publish(request.counted(next.record, next.counts))
      }
    }

    return {
      say(text) {
        isBehind ||= held + text.length > HELD_CHARS_MAX
        if (isBehind || text === '') return
        held += text.length
        size += text.length
        said.push(text)
      },
      publish(record) {
        const own: Waiting = { record, line: { goOn }, size }
        const texts = said
        const isAsked = record.token_source === 'chunk' && record.gaps_us.length > 0
        const canAsk = isAsked && texts.length === record.gaps_us.length && !isOver
        if (isAsked && !canAsk) count(isBehind ? 'tokenizer_behind' : 'not_tokenized')
        said = []
        size = 0
        isBehind = false
        waiting.push(own)
        if (!canAsk) return settle(own, null)
        asked.push(own)
        worker.postMessage({ model: record.model, texts } satisfies Asked)
      },
    }
  }

  return {
    ofRequest,
    async stop() {
      if (asked.length > 0) {
        const done = new Promise<void>((resolve) => {
          whenDone = resolve
          setTimeout(resolve, STOP_MS).unref()
        })
        await done
      }
      giveUp()
      await worker.terminate()
    },
  }
}

/** What the records of a request have to agree on. */
interface RequestCounts {
  /** The next record with the counts of its chunks, and at the end with those of all. */
  counted(record: TokenEvents, counts: Told): TokenEvents
}

function createRequest(): RequestCounts {
  /** Of all chunks so far; null when some were not counted here. */
  let total: number | null = 0
  let first: number | null = null

  function counted(record: TokenEvents, counts: Told): TokenEvents {
    const { first_chunk, gaps_us, end } = record
    if (gaps_us.length > 0) total = total === null || counts === null ? null : total + sum(counts)
    if (first_chunk === 0) first = counts?.[0] ?? null
    const told = counts === null ? record : { ...record, tokens: counts, token_source: TOKENIZER }
    if (end === null || end.chunks === 0 || first === null) return told
    const whole = total === null ? {} : { output_tokens: end.output_tokens ?? total }
    return {
      ...told,
      // An end without chunks of its own is labelled as they were.
      token_source: gaps_us.length === 0 && total !== null ? TOKENIZER : told.token_source,
      end: { ...end, ...whole, first_chunk_tokens: first },
    }
  }

  return { counted }
}

const TOKENIZER: TokenSource = 'tokenizer'

function sum(counts: readonly number[]): number {
  return counts.reduce((all, one) => all + one, 0)
}
