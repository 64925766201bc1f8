/** Numbers short runs of bytes, 0, 1, 2 ... in the order in which they were added. */
export interface ByteIndex {
  /** The number of these bytes; -1 when they were not added. */
  find(view: DataView, start: number, size: number): number
  /** Gives what was sought last, and not found, the next number. */
  add(): number
  /** Forgets all of them, and begins again at 0. */
  clear(): void
}

const SLOTS_MIN = 1_024
const ARENA_WORDS_MIN = 16 * 1_024
/** The golden ratio's. */
const FACTOR = 0x9e3779b1

/**
 * A hash table without objects: each of those would be another place in memory to wait for.
 *
 *   slots  hash, number + 1 | hash, number + 1 | 0, 0 | ...      at most half of them full
 *   arena  size, its bytes in words | size, its bytes in words | ...
 */
export function createByteIndex(): ByteIndex {
  let slots = new Int32Array(2 * SLOTS_MIN)
  let arena = new Int32Array(ARENA_WORDS_MIN)
  let starts: number[] = []
  let arenaEnd = 0
  let sought = new Int32Array(64)
  let soughtWords = 0
  let soughtHash = 0

  /** The slot with these bytes, or the empty one where they belong. */
  function slotOf(hash: number): number {
    const last = slots.length - 2
    for (let slot = (hash << 1) & last; ; slot = (slot + 2) & last) {
      const entry = slots[slot + 1]!
      if (entry === 0 || (slots[slot] === hash && isSought(starts[entry - 1]!))) return slot
    }
  }

  function isSought(start: number): boolean {
    for (let i = 0; i < soughtWords; i++) if (arena[start + i] !== sought[i]) return false
    return true
  }

  function grow(): void {
    const old = slots
    slots = new Int32Array(old.length * 2)
    const last = slots.length - 2
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue
      let slot = (old[from]! << 1) & last
      while (slots[slot + 1] !== 0) slot = (slot + 2) & last
      slots[slot] = old[from]!
      slots[slot + 1] = old[from + 1]!
    }
  }

  return {
    find(view, start, size) {
      soughtWords = 1 + ((size + 3) >> 2)
      if (soughtWords > sought.length) sought = new Int32Array(soughtWords * 2)
      sought[0] = size
      soughtHash = hashWords(view, start, size, sought)
      return slots[slotOf(soughtHash) + 1]! - 1
    },
    add() {
      if (4 * starts.length >= slots.length) grow()
      if (arenaEnd + soughtWords > arena.length) arena = enlarged(arena, arenaEnd + soughtWords)
      const slot = slotOf(soughtHash)
      arena.set(sought.subarray(0, soughtWords), arenaEnd)
      starts.push(arenaEnd)
      arenaEnd += soughtWords
      slots[slot] = soughtHash
      slots[slot + 1] = starts.length
      return starts.length - 1
    },
    clear() {
      slots = new Int32Array(2 * SLOTS_MIN)
      arena = new Int32Array(ARENA_WORDS_MIN)
      starts = []
      arenaEnd = 0
    },
  }
}

function enlarged(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const into = new Int32Array(length * 2)
  into.set(from)
  return into
}

/**
 * Copies bytes into words, from the second one on, with zeros behind them, and gives a hash of
 * them. Each step ends with a shift, or high bits would never reach low ones; two hashes are made
 * at once, since each step waits for the one before.
 */
export function hashWords(view: DataView, start: number, size: number, into: Int32Array): number {
  const pairs = size >> 3
  let even = size
  let odd = 0
  for (let i = 0; i < pairs; i++) {
    const first = view.getInt32(start + 8 * i, true)
    const second = view.getInt32(start + 8 * i + 4, true)
    into[2 * i + 1] = first
    into[2 * i + 2] = second
    even = mixed(even, first)
    odd = mixed(odd, second)
  }
  for (let i = 2 * pairs; 4 * i < size; i++) {
    const word = wordAt(view, start + 4 * i, size - 4 * i)
    into[i + 1] = word
    even = mixed(even, word)
  }
  return mixed(even, odd)
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, FACTOR)
  return product ^ (product >>> 15)
}

/** The next four bytes, or as many as are left. */
function wordAt(view: DataView, at: number, left: number): number {
  if (left >= 4) return view.getInt32(at, true)
  let word = 0
  for (let i = 0; i < left; i++) word |= view.getUint8(at + i) << (8 * i)
  return word
}
