import { type ByteIndex, createByteIndex } from './byte-index.ts'
import { type Cache, countForgotten } from './health.ts'

/** Finds what was made of bytes by those bytes: an equal run of them makes nothing anew. */
export interface ByteTable<T> {
  /** What bytes [from, to) say. */
  lookUp(bytes: Uint8Array, from: number, to: number): T
  /** Makes room for one more entry of so many bytes, wherever it is kept. */
  account(size: number): void
}

/** What is kept; after that the table starts again from nothing. */
export const ENTRIES_MAX = 65_536
export const BYTES_MAX = 32 * 1024 * 1024

/** An empty table; `name` is its name in the count of what it forgets, `forget` is told of it. */
export function createByteTable<T>(
  name: Cache,
  make: (bytes: Uint8Array, from: number, to: number) => T,
  forget: () => void = () => {},
  index: ByteIndex = createByteIndex(),
): ByteTable<T> {
  let byNumber: T[] = []
  let view: DataView = new DataView(new ArrayBuffer(0))
  let entries = 0
  let held = 0

  function account(size: number): void {
    entries += 1
    held += size
    if (entries <= ENTRIES_MAX && held <= BYTES_MAX) return
    countForgotten(name, entries - 1)
    forget()
    index.clear()
    byNumber = []
    entries = 1
    held = size
  }

  return {
    account,
    lookUp(bytes, from, to) {
      // The records of one fetch lie in one buffer.
      if (view.buffer !== bytes.buffer) view = new DataView(bytes.buffer)
      const number = index.find(view, bytes.byteOffset + from, to - from)
      if (number >= 0) return byNumber[number]!
      account(to - from)
      const made = make(bytes, from, to)
      byNumber[index.add()] = made
      return made
    },
  }
}
