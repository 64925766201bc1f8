/** Writes Avro primitives, one record at a time; throws on a value that does not fit: a bug. */
export interface AvroWriter {
  /** Begins a record behind these bytes. */
  open(header: Uint8Array): void
  long(value: number): void
  /** An array of longs, in one block. */
  longs(values: ArrayLike<number>): void
  /** An array, or the entries of a map, in one block. */
  block<T>(items: readonly T[], write: (item: T) => void): void
  double(value: number): void
  boolean(value: boolean): void
  string(value: string): void
  /** A copy of the record that was begun last, and its header. */
  bytes(): Uint8Array
}

const LONG_BYTES_MAX = 10
const TWO_28 = 2 ** 28

/** A writer with a buffer that grows to the largest record. */
export function createAvroWriter(): AvroWriter {
  let buffer = Buffer.allocUnsafe(64 * 1024)
  let at = 0

  function reserve(size: number): void {
    if (at + size <= buffer.length) return
    const grown = Buffer.allocUnsafe((at + size) * 2)
    buffer.copy(grown, 0, 0, at)
    buffer = grown
  }

  function long(value: number): void {
    reserve(LONG_BYTES_MAX)
    at = writeLong(buffer, at, value)
  }

  function block<T>(items: readonly T[], write: (item: T) => void): void {
    if (items.length > 0) long(items.length)
    for (const item of items) write(item)
    long(0)
  }

  return {
    open(header) {
      at = 0
      reserve(header.length)
      buffer.set(header)
      at = header.length
    },
    long,
    longs(values) {
      if (values.length > 0) long(values.length)
      reserve(values.length * LONG_BYTES_MAX)
      let next = at
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!
        // Most buckets hold few.
        if (value >= 0 && value < 64 && (value | 0) === value) buffer[next++] = value << 1
        else next = writeLong(buffer, next, value)
      }
      at = next
      long(0)
    },
    block,
    double(value) {
      if (typeof value !== 'number') throw new TypeError(`${value} is no double`)
      reserve(8)
      at = buffer.writeDoubleLE(value, at)
    },
    boolean(value) {
      if (typeof value !== 'boolean') throw new TypeError(`${value} is no boolean`)
      long(value ? -1 : 0)
    },
    string(value) {
      if (typeof value !== 'string') throw new TypeError(`${value} is no string`)
      const size = Buffer.byteLength(value)
      long(size)
      reserve(size)
      at += buffer.write(value, at)
    },
    bytes: () => Uint8Array.prototype.slice.call(buffer, 0, at),
  }
}

/** The zigzag of an integer in sevens of bits, the lowest first; returns where it ends. */
function writeLong(into: Buffer, at: number, value: number): number {
  if ((value | 0) === value) return writeSevens(into, at, ((value << 1) ^ (value >> 31)) >>> 0)
  if (!Number.isSafeInteger(value)) throw new TypeError(`${value} is no long`)
  const magnitude = value < 0 ? -value - 1 : value
  // The sign and six bits, then what an int can hold at a time.
  const rest = Math.floor(magnitude / 64)
  into[at++] = ((magnitude - rest * 64) << 1) | (value < 0 ? 1 : 0) | 0x80
  const high = Math.floor(rest / TWO_28)
  const low = rest - high * TWO_28
  if (high === 0) return writeSevens(into, at, low)
  for (let shift = 0; shift < 28; shift += 7) into[at++] = ((low >>> shift) & 0x7f) | 0x80
  return writeSevens(into, at, high)
}

function writeSevens(into: Buffer, at: number, raw: number): number {
  let rest = raw
  while (rest >= 0x80) {
    into[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  into[at++] = rest
  return at
}
