/** Token events as a fleet would send them: seeded, of so many series and chunks a record. */
import type { TokenEvents } from '../../schemas/records.ts'
import { createRandom, type Random } from '../../services/core/random.ts'
import { requestEnd, tokenEvents } from '../records.ts'

export interface RequestsOptions {
  readonly seed: number
  /** Records, not requests. */
  readonly records: number
  readonly chunksPerRecord: number
  /** Series of the finest grouping. */
  readonly series: number
  readonly startUs: number
  readonly spanUs: number
}

/** Chunks of a request: its last record carries its end. */
export const REQUEST_CHUNKS = 200

/** Records of requests that begin at any time in the span, in the order of their last chunks. */
export function requests(options: RequestsOptions): TokenEvents[] {
  const { seed, records, chunksPerRecord, series, startUs, spanUs } = options
  const random = createRandom(seed)
  const made: { record: TokenEvents; atUs: number }[] = []
  for (let i = 0; made.length < records; i++) {
    const place = Math.floor(random() * series)
    const started = { started_at: startUs + Math.floor(random() * spanUs) }
    const all = { ...labels(i, place), ...started }
    made.push(...recordsOf(all, chunksPerRecord, random))
  }
  made.sort((a, b) => a.atUs - b.atUs)
  return made.slice(0, records).map(({ record }) => record)
}

function labels(i: number, place: number) {
  return {
    request_id: `req-${i.toString(16).padStart(24, '0')}`,
    source: 'collector-7f9c',
    model: `llama-3.3-70b-instruct-${place % 8}`,
    endpoint: `https://inference-${place % 40}.example.com/v1`,
    region: ['eu-central-1', 'us-east-1', 'ap-south-1'][place % 3]!,
    tenant: `tenant-${place}`,
  }
}

/** The chunks of one request, so many to a record. */
function* recordsOf(
  all: Partial<TokenEvents> & { readonly started_at: number },
  size: number,
  random: Random,
) {
  let elapsedUs = 0
  for (let from = 0; from < REQUEST_CHUNKS; from += size) {
    const count = Math.min(size, REQUEST_CHUNKS - from)
    const gaps = Array.from({ length: count }, (_, i) => gapUs(from + i, random))
    const record = tokenEvents({
      ...all,
      first_chunk: from,
      elapsed_us: elapsedUs,
      gaps_us: gaps,
      tokens: gaps.map(() => 1 + Math.floor(random() * 1.2)),
      token_source: 'usage',
    })
    elapsedUs += gaps.reduce((sum, gap) => sum + gap, 0)
    const isLast = from + count === REQUEST_CHUNKS
    const end = isLast ? endOf(elapsedUs) : null
    yield { record: { ...record, end }, atUs: all.started_at + elapsedUs }
  }
}

/** The first chunk after some 200 ms, each other one after some 12. */
export function gapUs(chunk: number, random: Random): number {
  const middle = chunk === 0 ? 200_000 : 12_000
  return Math.round(middle * Math.exp((random() + random() + random() - 1.5) * 0.8))
}

function endOf(elapsedUs: number) {
  return requestEnd({
    duration_us: elapsedUs + 500,
    ttft_us: 200_000,
    chunks: REQUEST_CHUNKS,
    input_tokens: 900,
    output_tokens: 220,
  })
}
