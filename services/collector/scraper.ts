import type { ResourceSample } from '../../schemas/records.ts'
import { createBoundedBytes } from './bounded-bytes.ts'
import type { Clock, Timers } from './clock.ts'
import { parsePage, samplesOf } from './scrape.ts'

export interface ScraperOptions {
  /** A page in Prometheus text form. */
  readonly url: string
  readonly everyMs: number
  readonly timeoutMs: number
  readonly endpoint: string
  readonly region: string
  readonly publish: (sample: ResourceSample) => void
  readonly log: (line: string) => void
  readonly clock: Clock
  readonly timers: Timers
}

export interface ScraperStats {
  readonly scrapes: number
  readonly failed: number
  /** Samples of pages that held too many. */
  readonly refused: number
}

export interface Scraper {
  stats(): ScraperStats
  /** Waits for the scrape that runs. */
  stop(): Promise<void>
}

/** vLLM's page is about 100 kB; one of this size is not a metrics page. */
const PAGE_BYTES_MAX = 4 << 20

/** Gauges of a hundred models, or GPUs; more would take the queue's room from the requests. */
const SAMPLES_MAX = 1000

/**
 * Reads an engine's gauges again and again, and says with each reading whether that worked: the
 * sample `up` is 1 or 0, so that an engine that is gone differs from one that is idle.
 */
export function startScraper(options: ScraperOptions): Scraper {
  const { url, timeoutMs, endpoint, region, publish, log, clock, timers } = options
  const attributes = { target: new URL(url).host }
  const counts = { scrapes: 0, failed: 0, refused: 0 }
  let running: Promise<void> | null = null
  let wasUp = true

  async function scrape(): Promise<void> {
    counts.scrapes += 1
    let up = 1
    try {
      const page = parsePage(await readPage(url, timeoutMs))
      const common = { at: clock.wallUs(), endpoint, region }
      const samples = samplesOf(page, common)
      for (const sample of samples.slice(0, SAMPLES_MAX)) publish(sample)
      counts.refused += Math.max(0, samples.length - SAMPLES_MAX)
    } catch (error) {
      up = 0
      counts.failed += 1
      if (wasUp) log(`cannot read ${attributes.target}: ${said(error)}`)
    }
    wasUp = up === 1
    publish({ at: clock.wallUs(), endpoint, model: '', region, name: 'up', value: up, attributes })
  }

  function start(): void {
    // A slow page must not be asked for twice at once.
    running ??= scrape().finally(() => {
      running = null
    })
  }

  start()
  const cancel = timers.every(options.everyMs, start)
  return {
    stats: () => ({ ...counts }),
    async stop() {
      cancel()
      await running
    },
  }
}

async function readPage(url: string, timeoutMs: number): Promise<string> {
  // Redirects are refused: only what the configuration names is asked.
  const signal = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, { signal, redirect: 'error' })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`status ${response.status}`)
  }
  const body = createBoundedBytes(PAGE_BYTES_MAX)
  let length = 0
  try {
    for await (const bytes of response.body ?? []) {
      length += bytes.length
      if (length > PAGE_BYTES_MAX) throw new Error(`a page of more than ${PAGE_BYTES_MAX} bytes`)
      body.push(bytes)
    }
    return body.text() ?? ''
  } finally {
    body.drop()
  }
}

/** fetch hides what happened in the cause. */
function said(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}
