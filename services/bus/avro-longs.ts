/** Every byte of a word is a long of its own. */
const ALL_END = 0x80808080 | 0

/** Seven bits of each byte of a word, together. */
function rawOf(word: number): number {
  const low = (word & 0x7f) | ((word >>> 1) & 0x3f80)
  return low | ((word >>> 2) & 0x1fc000) | ((word >>> 3) & 0xfe00000)
}

function zigzag(raw: number): number {
  return (raw >>> 1) ^ -(raw & 1)
}

/** Where the next long begins. */
export interface LongsPlace {
  at: number
}

/**
 * Passes over longs [start, end): returns the index up to which it came. The last few, and one of
 * more than seven bytes, are left to the caller.
 */
export function skipShortLongs(
  input: Uint8Array,
  words: DataView,
  start: number,
  end: number,
  place: LongsPlace,
): number {
  const base = input.byteOffset
  const safe = input.length - 4
  let { at } = place
  let i = start
  while (end - i >= 4 && at <= safe) {
    const ends = ~words.getInt32(base + at, true) & ALL_END
    if (ends === 0) break
    i += Math.imul(ends >>> 7, 0x01010101) >>> 24
    at += 4
  }
  // The last word may have ended within a long.
  while (at > place.at && input[at - 1]! >= 0x80) at--
  place.at = at
  return i
}

/**
 * Adds longs of at most four bytes to counts[start, end), of which most are zero or small. Returns
 * the index up to which it came.
 */
export function addShortLongs(
  input: Uint8Array,
  words: DataView,
  counts: Uint32Array | Float64Array,
  start: number,
  end: number,
  place: LongsPlace,
): number {
  const base = input.byteOffset
  const safe = input.length - 4
  let { at } = place
  let i = start
  while (i < end && at <= safe) {
    const word = words.getInt32(base + at, true)
    const ends = ~word & ALL_END
    if (ends === ALL_END && i + 4 <= end) {
      if (word !== 0) {
        counts[i]! += zigzag(word & 0x7f)
        counts[i + 1]! += zigzag((word >>> 8) & 0x7f)
        counts[i + 2]! += zigzag((word >>> 16) & 0x7f)
        counts[i + 3]! += zigzag(word >>> 24)
      }
      i += 4
      at += 4
      continue
    }
    if (ends === 0) break
    const last = ends & -ends
    counts[i++]! += zigzag(rawOf(word & (last - 1)))
    at += (32 - Math.clz32(last)) >>> 3
  }
  place.at = at
  return i
}
