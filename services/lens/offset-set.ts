/** A set of offsets: a bit for each where they lie close together, as in a log. */
export interface OffsetSet {
  /** False when it was there already. */
  add(offset: number): boolean
  has(offset: number): boolean
  size(): number
}

const BLOCK = 8192

/** An empty set. */
export function createOffsetSet(): OffsetSet {
  const blocks = new Map<number, Uint8Array>()
  let size = 0

  function place(offset: number): { index: number; byte: number; bit: number } {
    const at = offset % BLOCK
    return { index: Math.floor(offset / BLOCK), byte: at >> 3, bit: 1 << (at & 7) }
  }

  function has(offset: number): boolean {
    const { index, byte, bit } = place(offset)
    return ((blocks.get(index)?.[byte] ?? 0) & bit) !== 0
  }

  return {
    has,
    add(offset) {
      if (has(offset)) return false
      const { index, byte, bit } = place(offset)
      const block = blocks.get(index) ?? new Uint8Array(BLOCK / 8)
      blocks.set(index, block)
      block[byte]! |= bit
      size++
      return true
    },
    size: () => size,
  }
}
