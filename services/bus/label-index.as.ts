/** Numbers labels, 0, 1, 2 ..., by the bytes that hold them. AssemblyScript. */
import { refuse } from './avro.as'

/** How many there may be, and of how many bytes; then they must be forgotten. */
export const LABELS_MAX: i32 = 65_536
export const LABELS_BYTES_MAX: i32 = 32 * 1024 * 1024

/** Labels that were seen, by number: i32 size, then their bytes and zeros, up to words of eight. */
const ARENA: i32 = 0xc40000
/** Where they are. */
const STARTS: i32 = 0xc00000
/** i32 hash, number + 1, or zeros; twice as many as there may be labels. */
const SLOTS: i32 = 0xb00000
const SLOT_BYTES: i32 = 8
const SLOTS_MASK: u32 = 2 * LABELS_MAX - 1
/** Labels that somebody chose to have one hash are left to a table that knows better. */
const PROBES_MAX: i32 = 256
/** The golden ratio's. */
const FACTOR: u64 = (0x9e3779b9 << 32) | 0x7f4a7c15

let count: i32 = 0
let arenaEnd: i32 = ARENA
let soughtAt: i32 = 0
let soughtSize: i32 = 0
/** Of the labels that were sought last. */
export let hash: u32 = 0

/** Gives the labels that were sought last, and have no number, the next one. */
export function addLabels(): i32 {
  const slot = slotOf()
  store<u32>(slot, hash)
  store<i32>(slot + 4, count + 1)
  store<i32>(STARTS + 4 * count, arenaEnd)
  store<i32>(arenaEnd, soughtSize)
  arenaEnd += 8
  for (let i = 0; i < soughtSize; i += 8) {
    store<u64>(arenaEnd, soughtWord(i))
    arenaEnd += 8
  }
  return count++
}

/** Begins again with number 0. */
export function forgetLabels(): void {
  memory.fill(SLOTS, 0, SLOT_BYTES * (SLOTS_MASK + 1))
  count = 0
  arenaEnd = ARENA
}

/** The number of these labels; -1 when they have none. */
export function find(start: i32, size: i32): i32 {
  soughtAt = start
  soughtSize = size
  // Two at once, since each step waits for the one before.
  let even = <u64>size
  let odd: u64 = 0
  for (let i = 0; i < size; i += 16) {
    even = mixed(even, soughtWord(i))
    odd = mixed(odd, i + 8 < size ? soughtWord(i + 8) : 0)
  }
  hash = <u32>mixed(even, odd)
  const slot = slotOf()
  if (slot !== 0) return load<i32>(slot + 4) - 1
  refuse()
  return -1
}

function mixed(sum: u64, word: u64): u64 {
  const product = (sum ^ word) * FACTOR
  // Or high bits would never reach low ones.
  return product ^ (product >> 32)
}

/** The slot of the labels that are sought, or the empty one where they belong; 0 when too far. */
function slotOf(): i32 {
  let place = hash & SLOTS_MASK
  for (let probes = 0; probes < PROBES_MAX; probes++) {
    const slot = slotAt(place)
    if (belongsAt(slot)) return slot
    place = (place + 1) & SLOTS_MASK
  }
  return 0
}

function slotAt(place: u32): i32 {
  return SLOTS + SLOT_BYTES * <i32>place
}

function belongsAt(slot: i32): bool {
  const number = load<i32>(slot + 4) - 1
  if (number < 0) return true
  return load<u32>(slot) === hash && isSought(load<i32>(STARTS + 4 * number))
}

function isSought(start: i32): bool {
  if (load<i32>(start) !== soughtSize) return false
  for (let i = 0; i < soughtSize; i += 8) {
    if (load<u64>(start + 8 + i) !== soughtWord(i)) return false
  }
  return true
}

/** Eight bytes of the labels, the last of them with zeros behind. */
function soughtWord(i: i32): u64 {
  const word = load<u64>(soughtAt + i)
  const left = soughtSize - i
  return left >= 8 ? word : word & (((<u64>1) << (8 * left)) - 1)
}
