/** Seeded traffic for pipeline tests: requests of several records, out of order and late. */
import type { TokenEvents } from '../../schemas/records.ts'
import { createRandom } from '../../services/core/random.ts'
import { requestEnd, tokenEvents } from '../records.ts'

export interface TrafficOptions {
  readonly seed: number
  readonly requests: number
  readonly series: number
  readonly startUs: number
  readonly spanUs: number
  readonly chunksMax: number
  /** Share of records that are sent later than they should be, and by how much at most. */
  readonly lateShare: number
  readonly lateUsMax: number
}

/** A record, the event time at which it is sent, and how long after its last event that is. */
export interface Sent {
  readonly record: TokenEvents
  readonly sendUs: number
  readonly lateUs: number
}

/** Records in the order in which they are sent. */
export function traffic(options: TrafficOptions): Sent[] {
  const { seed, requests, series, startUs, spanUs, lateShare, lateUsMax } = options
  const random = createRandom(seed)
  const sent: Sent[] = []
  for (let i = 0; i < requests; i++) {
    const startedAt = startUs + Math.floor(random() * spanUs)
    for (const record of request(i, startedAt, Math.floor(random() * series), options, random)) {
      const gaps = record.gaps_us.reduce((sum, gap) => sum + gap, 0)
      const doneUs = startedAt + Math.max(record.elapsed_us + gaps, record.end?.duration_us ?? 0)
      const lateUs = Math.floor(random() < lateShare ? random() * lateUsMax : random() * 1e6)
      sent.push({ record, sendUs: doneUs + lateUs, lateUs })
    }
  }
  return sent.sort((a, b) => a.sendUs - b.sendUs)
}

const STATUSES = ['ok', 'ok', 'ok', 'ok', 'ok', 'error', 'cancelled', 'truncated'] as const

function request(
  i: number,
  startedAt: number,
  series: number,
  { chunksMax }: TrafficOptions,
  random: () => number,
): TokenEvents[] {
  const chunks = Math.floor(random() * (chunksMax + 1))
  const gaps = Array.from({ length: chunks }, (_, c) =>
    Math.floor(Math.exp(random() * 4 + (c === 0 ? 9 : 7))),
  )
  const counts = random() < 0.5 ? gaps.map(() => Math.floor(random() * 4)) : null
  const labels = {
    request_id: `r-${i}`,
    model: `m-${series % 4}`,
    endpoint: `e-${series % 5}`,
    region: series % 2 === 0 ? 'eu' : 'us',
    tenant: `t-${series}`,
  }
  const records: TokenEvents[] = []
  let elapsed = 0
  for (let from = 0; from < chunks; ) {
    const to = Math.min(chunks, from + 1 + Math.floor(random() * 40))
    const run = gaps.slice(from, to)
    const tokens = counts ? counts.slice(from, to) : []
    const record = { ...labels, started_at: startedAt, first_chunk: from, elapsed_us: elapsed }
    records.push(tokenEvents({ ...record, gaps_us: run, tokens }))
    elapsed += run.reduce((sum, gap) => sum + gap, 0)
    from = to
  }
  const status = STATUSES[Math.floor(random() * STATUSES.length)]!
  const end = requestEnd({
    status,
    error_type: status === 'error' ? `http_${500 + Math.floor(random() * 3)}` : '',
    duration_us: elapsed + Math.floor(random() * 5_000),
    ttft_us: gaps[0] ?? null,
    chunks,
    first_chunk_tokens: counts?.[0] ?? 1,
    input_tokens: random() < 0.9 ? Math.floor(random() * 2000) : null,
    output_tokens: counts ? counts.reduce((sum, n) => sum + n, 0) : chunks,
    intended_at: random() < 0.3 ? startedAt - Math.floor(random() * 50_000) : null,
  })
  const last = records.pop()
  const empty = { ...labels, started_at: startedAt, elapsed_us: 0, gaps_us: [] }
  records.push({ ...(last ?? tokenEvents(empty)), end })
  return records
}
