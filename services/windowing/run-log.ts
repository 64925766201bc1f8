import type { RunEnd, TokenRun } from '../core/measure/token-run.ts'
import { GAP_TOKENS, GAPS_US } from '../core/windows/gaps.ts'

/**
 * The runs of a range, as they came, one behind the other in memory: what a thousand series count
 * in fits into no cache, so a range is counted series by series at its end. Runs of one series are
 * linked. In words of 32 bits, three doubles among them:
 *
 *   next first_chunk chunks form | started_at elapsed last | end - | gap << 8 | tokens ...
 *
 * Where a gap or a count of tokens is too large for that: gaps, then tokens.
 */
export interface RunLog {
  /** Copies a run behind all others; gives its place. */
  keep(run: TokenRun): number
  /** Says which run of the same series comes behind that at `place`. */
  link(place: number, next: number): void
  /** The run at a place, in an object that is used again; its labels are left out. */
  read(place: number): TokenRun
  /** The place of the next run of the same series; -1 behind the last. */
  next(place: number): number
  /** Forgets all runs, and keeps the room. */
  clear(): void
  /** The room that it has. */
  bytes(): number
}

const HEAD_WORDS = 12
const WORDS_MIN = 64 * 1024
const TOKEN_BITS = 8
const GAP_BITS = 24
const TOKENS_MASK = 2 ** TOKEN_BITS - 1

/** Bits of a run's form: a gap or a count of tokens fits no word; nobody counted tokens. */
const WIDE = 1
const UNCOUNTED = 2

const NO_LABELS = Object.freeze({
  ...{ model: '', endpoint: '', region: '', tenant: '', provider: '' },
  attributes: Object.freeze({}),
})

/** An empty one. */
export function createRunLog(): RunLog {
  let words = new Int32Array(WORDS_MIN)
  let doubles = new Float64Array(words.buffer)
  let end = 0
  let ends: RunEnd[] = []
  const run = {
    labels: NO_LABELS,
    ...{ startedAtUs: 0, firstChunk: 0, elapsedUs: 0, lastUs: 0, chunks: 0 },
    gapsUs: GAPS_US,
    hasTokens: false,
    tokens: GAP_TOKENS,
    end: null as RunEnd | null,
  }

  function reserve(count: number): void {
    if (end + count <= words.length) return
    const grown = new Int32Array(2 ** Math.ceil(Math.log2(end + count)))
    grown.set(words.subarray(0, end))
    words = grown
    doubles = new Float64Array(words.buffer)
  }

  /** False when one of them does not fit a word. */
  function pack({ chunks, gapsUs, hasTokens, tokens }: TokenRun, from: number): boolean {
    let tooLarge = 0
    for (let i = 0; i < chunks; i++) {
      const gapUs = gapsUs[i]!
      const n = hasTokens ? tokens[i]! : 1
      tooLarge |= (gapUs >>> GAP_BITS) | (n >>> TOKEN_BITS)
      words[from + i] = (gapUs << TOKEN_BITS) | n
    }
    return tooLarge === 0
  }

  function keepWide({ chunks, gapsUs, tokens }: TokenRun, from: number): void {
    for (let i = 0; i < chunks; i++) {
      words[from + i] = gapsUs[i]!
      words[from + chunks + i] = tokens[i] ?? 0
    }
  }

  return {
    keep(from) {
      const { chunks, hasTokens } = from
      reserve(HEAD_WORDS + 2 * chunks + 2)
      const place = end
      const payload = place + HEAD_WORDS
      const isPacked = pack(from, payload)
      if (!isPacked) keepWide(from, payload)
      words[place] = -1
      words[place + 1] = from.firstChunk
      words[place + 2] = chunks
      words[place + 3] = (isPacked ? 0 : WIDE) | (hasTokens ? 0 : UNCOUNTED)
      const at = place >> 1
      doubles[at + 2] = from.startedAtUs
      doubles[at + 3] = from.elapsedUs
      doubles[at + 4] = from.lastUs
      words[place + 10] = from.end ? ends.push(from.end) : 0
      const size = HEAD_WORDS + (isPacked ? chunks : 2 * chunks)
      end += size + (size & 1)
      return place
    },
    link(place, next) {
      words[place] = next
    },
    read(place) {
      const chunks = words[place + 2]!
      const form = words[place + 3]!
      const at = place >> 1
      const payload = place + HEAD_WORDS
      run.gapsUs = chunks > GAPS_US.length ? new Int32Array(chunks) : GAPS_US
      run.tokens = chunks > GAPS_US.length ? new Int32Array(chunks) : GAP_TOKENS
      run.firstChunk = words[place + 1]!
      run.chunks = chunks
      run.hasTokens = (form & UNCOUNTED) === 0
      run.startedAtUs = doubles[at + 2]!
      run.elapsedUs = doubles[at + 3]!
      run.lastUs = doubles[at + 4]!
      const number = words[place + 10]!
      run.end = number === 0 ? null : ends[number - 1]!
      const { gapsUs, tokens } = run
      if ((form & WIDE) === 0) {
        for (let i = 0; i < chunks; i++) {
          const word = words[payload + i]!
          gapsUs[i] = word >>> TOKEN_BITS
          tokens[i] = word & TOKENS_MASK
        }
      } else {
        for (let i = 0; i < chunks; i++) {
          gapsUs[i] = words[payload + i]!
          tokens[i] = words[payload + chunks + i]!
        }
      }
      return run
    },
    next: (place) => words[place]!,
    clear() {
      end = 0
      ends = []
    },
    bytes: () => words.byteLength,
  }
}
