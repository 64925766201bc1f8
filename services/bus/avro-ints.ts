/** What a run of ints came to. */
export interface IntTotals {
  /** Where the next one begins. */
  at: number
  sum: number
  /** The least of them, or 0. */
  least: number
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
  let { at, sum, least } = totals
  let i = start
  while (i < end && at <= safe) {
    const word = words.getInt32(base + at, true)
    // The highest bit of each byte that is the last of its int.
    const ends = ~word & 0x80808080
    if (ends === ALL_END && i + 4 <= end) {
      // Four small ints: what counts of tokens mostly are.
      for (let shift = 0; shift < 32; shift += 8) {
        const value = zigzag((word >>> shift) & 0x7f)
        into[i++] = value
        sum += value
        if (value < least) least = value
      }
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
    if (value < least) least = value
  }
  totals.at = at
  totals.sum = sum
  totals.least = least
  return i
}

function zigzag(raw: number): number {
  return (raw >>> 1) ^ -(raw & 1)
}
