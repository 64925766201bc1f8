import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { TokenEvents } from '../../schemas/records.ts'
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
  /** What the next chunk says. */
  say(text: string): void
  /** Publishes a record of the chunks so far when they are counted, behind those before it. */
  readonly publish: Publish
}

/** A record in its place in the line. */
interface Waiting {
  readonly record: TokenEvents
  readonly request: RequestCounts
  readonly size: number
  /** Null when nobody counts; undefined until that is known. */
  counts?: Told
}

/** What waits to be counted; who brings more is published as he is. */
const WAITING_CHARS_MAX = 16 << 20
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
  // In the order of what was asked, and of what is to be published.
  const asked: Waiting[] = []
  const line: Waiting[] = []
  let chars = 0
  let whenDone = () => {}
  let isOver = false

  function settle(waiting: Waiting, counts: Told): void {
    chars -= waiting.size
    waiting.counts = counts
  }

  function publishReady(): void {
    for (let first = line[0]; first?.counts !== undefined; first = line[0]) {
      line.shift()
      publish(first.request.counted(first.record, first.counts))
    }
    if (line.length === 0) whenDone()
  }

  function giveUp(): void {
    isOver = true
    for (const waiting of asked.splice(0)) settle(waiting, null)
    publishReady()
  }

  worker.on('message', (told: Told) => {
    const waiting = asked.shift()
    // None of them after all was given up.
    if (!waiting) return
    settle(waiting, told)
    publishReady()
  })
  worker.on('error', (error) => {
    log(`tokens are not counted any more: ${(error as Error).message}`)
    giveUp()
  })
  worker.unref()

  function ask(waiting: Waiting, texts: readonly string[]): void {
    chars += waiting.size
    asked.push(waiting)
    worker.postMessage({ model: waiting.record.model, texts } satisfies Asked)
  }

  return {
    ofRequest(count) {
      const request = createRequest()
      let said: string[] = []
      function publishCounted(record: TokenEvents): void {
        const texts = said
        said = []
        const isAsked = record.token_source === 'chunk' && record.gaps_us.length > 0
        const size = texts.reduce((sum, text) => sum + text.length, 0)
        const isBehind = chars + size > WAITING_CHARS_MAX
        const canAsk = isAsked && texts.length === record.gaps_us.length && !isOver && !isBehind
        const waiting: Waiting = { record, request, size: canAsk ? size : 0 }
        line.push(waiting)
        if (canAsk) ask(waiting, texts)
        else {
          if (isAsked) count(isBehind ? 'tokenizer_behind' : 'not_tokenized')
          settle(waiting, null)
          publishReady()
        }
      }
      return { say: (text) => void said.push(text), publish: publishCounted }
    },
    async stop() {
      if (line.length > 0) {
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
  let total: number | null = 0
  let first: number | null = null

  function counted(record: TokenEvents, counts: Told): TokenEvents {
    const { first_chunk, gaps_us, tokens, token_source, end } = record
    const own = counts ?? (token_source === 'chunk' ? null : tokens)
    if (gaps_us.length > 0) total = total === null || own === null ? null : total + sum(own)
    if (first_chunk === 0 && own !== null) first = own[0] ?? null
    const told = counts && { tokens: counts, token_source: 'tokenizer' as const }
    if (end === null || (counts === null && first === null)) return { ...record, ...told }
    const output_tokens = end.output_tokens ?? (end.chunks > 0 ? total : null)
    const first_chunk_tokens = first ?? end.first_chunk_tokens
    return { ...record, ...told, end: { ...end, output_tokens, first_chunk_tokens } }
  }

  return { counted }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, one) => all + one, 0)
}
