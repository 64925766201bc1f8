import { BELOW_CELL, bucketIndexOfInt, NEXT_INT_THRESHOLD } from '../histogram/bucket.ts'
import { addValue, cover, type Distribution, expectMore } from '../histogram/distribution.ts'
import { addExact } from '../histogram/exact-sum.ts'
import { instantiate, type WasmConstant } from '../wasm.ts'
import { CODE } from './gaps.wasm.ts'

/** Addresses, and offsets in a table, of gaps.as.ts. */
type Address =
  | ('GAPS' | 'TOKENS' | 'OTHERS' | 'BELOW' | 'NEXT')
  | ('BOTH' | 'CHUNK_GAP' | 'ITL' | 'SUM' | 'COUNTS')

interface Exports extends Readonly<Record<Address | 'BLOCK' | 'SHORT_END_US', WasmConstant>> {
  count(from: number, to: number, hasTokens: boolean): number
  clear(table: number): void
  slotOf(value: number): number
}

const wasm = instantiate<Exports>(CODE)
const { buffer } = wasm.memory
const BLOCK = wasm.BLOCK.value
const SLOTS = wasm.slotOf(wasm.SHORT_END_US.value) + 1
/** The bucket of slot 0, if zeros had one. */
const SLOT_INDEX = bucketIndexOfInt(0)

/** Gaps and tokens that are put here, from the first place on, are counted without a copy. */
export const GAPS_US = new Int32Array(buffer, wasm.GAPS.value, BLOCK)
export const GAP_TOKENS = new Int32Array(buffer, wasm.TOKENS.value, BLOCK)

const others = new Int32Array(buffer, wasm.OTHERS.value, BLOCK)
new Uint8Array(buffer, wasm.BELOW.value).set(BELOW_CELL)
new Uint32Array(buffer, wasm.NEXT.value).set(NEXT_INT_THRESHOLD)

interface Table {
  readonly address: number
  /** Count, minimum and maximum. */
  readonly heads: Int32Array
  /** Of values and of their squares. */
  readonly sums: Float64Array
  readonly counts: Uint32Array
}

const both = tableAt(wasm.BOTH)
const ofChunkGap = tableAt(wasm.CHUNK_GAP)
const ofItl = tableAt(wasm.ITL)

function tableAt({ value: address }: WasmConstant): Table {
  const heads = new Int32Array(buffer, address, 3)
  const sums = new Float64Array(buffer, address + wasm.SUM.value, 2)
  return {
    address,
    heads,
    sums,
    counts: new Uint32Array(buffer, address + wasm.COUNTS.value, SLOTS),
  }
}

/** Where gaps before chunks are counted: as ones between chunks, and shared by their tokens. */
export interface GapCounts {
  readonly chunkGap: Distribution
  readonly itl: Distribution
}

/** What the tables hold gaps of, and at most how many. */
let current: GapCounts | null = null
let counted = 0

/**
 * Counts gaps[from, to): each as one between chunks, and shared out between the tokens of its
 * chunk, if any; without `tokens` there is one. They are in the counts when settleGaps is called,
 * or those of others are counted.
 */
export function countGaps(
  counts: GapCounts,
  gapsUs: Int32Array,
  tokens: Int32Array | null,
  from: number,
  to: number,
): void {
  if (counts.chunkGap !== current?.chunkGap) {
    settleGaps()
    current = counts
  }
  const isHere = gapsUs === GAPS_US && (tokens === null || tokens === GAP_TOKENS)
  for (let start = from; start < to; start += BLOCK) {
    const size = Math.min(BLOCK, to - start)
    if (counted + size > BLOCK) pourAll(counts)
    counted += size
    if (isHere) countBlock(counts, tokens !== null, start, start + size)
    else {
      GAPS_US.set(gapsUs.subarray(start, start + size))
      if (tokens) GAP_TOKENS.set(tokens.subarray(start, start + size))
      countBlock(counts, tokens !== null, 0, size)
    }
  }
}

/** Adds what was counted to its counts. */
export function settleGaps(): void {
  if (current) pourAll(current)
  current = null
}

function countBlock(counts: GapCounts, hasTokens: boolean, from: number, to: number): void {
  const long = wasm.count(from, to, hasTokens)
  for (let k = 0; k < long; k++) {
    const us = GAPS_US[others[k]!]!
    const n = hasTokens ? GAP_TOKENS[others[k]!]! : 1
    addValue(counts.chunkGap, us, 1)
    if (n > 0) addValue(counts.itl, Math.round(us / n), n)
  }
}

function pourAll({ chunkGap, itl }: GapCounts): void {
  counted = 0
  pour(both, [chunkGap, itl])
  pour(ofChunkGap, [chunkGap])
  pour(ofItl, [itl])
}

/** Empties a table into each of the distributions: the state that addValue of each would give. */
function pour({ address, heads, sums, counts }: Table, targets: readonly Distribution[]): void {
  const [count, min, max] = [heads[0]!, heads[1]!, heads[2]!]
  if (count === 0) return
  const end = wasm.slotOf(max) + 1
  let first = wasm.slotOf(Math.max(1, min))
  if (min === 0) while (first < end && counts[first] === 0) first++
  for (const target of targets) {
    expectMore(target, count)
    target.count += count
    target.zeroCount += counts[0]!
    addExact(target.sum, sums[0]!)
    addExact(target.squares, sums[1]!)
    target.min = Math.min(target.min, min)
    target.max = Math.max(target.max, max)
    if (first < end) cover(target, first + SLOT_INDEX, end + SLOT_INDEX)
    const shift = SLOT_INDEX - target.offset
    for (let slot = first; slot < end; slot++) target.counts[slot + shift]! += counts[slot]!
  }
  counts.fill(0, first, end)
  counts[0] = 0
  wasm.clear(address)
}
