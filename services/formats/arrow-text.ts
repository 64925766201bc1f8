import type { Cell } from './column.ts'

/** UTF-8 bytes of many texts on end, and where each begins; text i ends where i + 1 begins. */
export interface Utf8Column {
  readonly data: Uint8Array
  readonly valueOffsets: Int32Array
}

const ENCODER = new TextEncoder()

/** The texts of a column as Arrow lays them out; null takes no bytes. */
export function utf8Column(cells: readonly Cell[]): Utf8Column {
  const joined = cells.join('')
  const data = ENCODER.encode(joined)
  // As many bytes as characters: all ASCII, so that the lengths are known without encoding each.
  if (data.length === joined.length) return { data, valueOffsets: offsetsOf(cells, lengthOf) }
  const each = cells.map((cell) => ENCODER.encode((cell ?? '') as string))
  const valueOffsets = offsetsOf(each, (bytes) => bytes.length)
  // Not `data`: half a surrogate pair at the end of one text would join with one in the next.
  const exact = new Uint8Array(valueOffsets[each.length]!)
  each.forEach((bytes, i) => {
    exact.set(bytes, valueOffsets[i]!)
  })
  return { data: exact, valueOffsets }
}

function lengthOf(cell: Cell): number {
  return cell === null ? 0 : (cell as string).length
}

function offsetsOf<T>(items: readonly T[], length: (item: T) => number): Int32Array {
  const offsets = new Int32Array(items.length + 1)
  for (let i = 0; i < items.length; i++) offsets[i + 1] = offsets[i]! + length(items[i]!)
  return offsets
}
