/** What a run of ints came to. */
export interface IntTotals {
  /** Where the next one begins. */
  at: number
  sum: number
  /** Below 0 when any of them is. */
  signs: number
}

/** Every byte of a word is an int of its own. */
const ALL_END = 0x80808080 | 0

/**
 * The inner loop of the decoder: reads Avro ints of at most four bytes from `totals.at` on into
 * into[start, end), and adds them up. What is longer, or within the last bytes of the input, is
 * left to the caller: returns the index up to which it came. There is no branch on the length of an
 * int of two to four bytes, which nothing can predict. `words` is a view of the input's whole buffer.
 */
export function readShortInts(
  input: Uint8Array,
  words: DataView,
  into: Int32Array,
  start: number,
  end: number,
  totals: IntTotals,
): number {
  const base = input.byteOffset
  const safe = input.length - 4
  let { at, sum, signs } = totals
  let i = start
  while (i < end && at <= safe) {
    const word = words.getInt32(base + at, true)
    // The highest bit of each byte that is the last of its int.
    const ends = ~word & ALL_END
    if (ends === ALL_END && i + 4 <= end) {
      // Four small ints: what counts of tokens mostly are.
      const a = zigzag(word & 0x7f)
      const b = zigzag((word >>> 8) & 0x7f)
      const c = zigzag((word >>> 16) & 0x7f)
      const d = zigzag(word >>> 24)
      into[i] = a
      into[i + 1] = b
      into[i + 2] = c
      into[i + 3] = d
      sum += a + b + c + d
      signs |= a | b | c | d
      i += 4
      at += 4
      continue
    }
    if (ends === 0) break
    const last = ends & -ends
    const own = word & (last - 1)
    const low = (own & 0x7f) | ((own >>> 1) & 0x3f80)
    const value = zigzag(low | ((own >>> 2) & 0x1fc000) | ((own >>> 3) & 0xfe00000))
    at += (32 - Math.clz32(last)) >>> 3
    into[i++] = value
    sum += value
    signs |= value
  }
  totals.at = at
  totals.sum = sum
  totals.signs = signs
  return i
}

function zigzag(raw: number): number {
  return (raw >>> 1) ^ -(raw & 1)
}
