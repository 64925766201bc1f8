/** Lines out of bytes in any split. */
export interface Lines {
  /** The bytes are not kept. */
  push(bytes: Uint8Array): void
  /** Gives the last line out although nothing ended it. */
  end(): void
  /** Whether what comes next begins a line. */
  isBetween(): boolean
}

const LF = 10
const CR = 13

/**
 * Cuts bytes at CR, LF and CRLF, strips one leading byte order mark, and leaves out lines longer
 * than `bytesMax`. `onLine` gets a whole line as a range of a buffer that is good during the call.
 */
export function createLines(
  bytesMax: number,
  onLine: (bytes: Buffer, from: number, to: number) => void,
  onTooLong: () => void,
): Lines {
  let rest: Buffer = Buffer.alloc(256)
  let restLength = 0
  /** Inside a line of which the beginning is gone already. */
  let skipping = false
  /** The last byte was CR: an LF that follows belongs to it. */
  let afterCr = false
  let first = true

  function keep(bytes: Buffer, from: number, to: number): void {
    if (skipping) return
    const length = restLength + to - from
    if (length > bytesMax) {
      skipping = true
      restLength = 0
      onTooLong()
      return
    }
    if (length > rest.length) rest = enlarged(rest, length)
    bytes.copy(rest, restLength, from, to)
    restLength = length
  }

  function line(bytes: Buffer, from: number, to: number): void {
    const inOneRead = restLength === 0 && !skipping && to - from <= bytesMax
    if (!inOneRead) keep(bytes, from, to)
    const length = restLength
    restLength = 0
    if (skipping) skipping = false
    else if (inOneRead) whole(bytes, from, to)
    else whole(rest, 0, length)
    first = false
  }

  function whole(bytes: Buffer, from: number, to: number): void {
    onLine(bytes, first && hasMark(bytes, from, to) ? from + 3 : from, to)
  }

  function push(view: Uint8Array): void {
    if (view.length === 0) return
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
    let from = afterCr && bytes[0] === LF ? 1 : 0
    afterCr = false
    let lf = bytes.indexOf(LF, from)
    let cr = bytes.indexOf(CR, from)
    while (lf >= 0 || cr >= 0) {
      const at = lf < 0 ? cr : cr < 0 ? lf : Math.min(lf, cr)
      line(bytes, from, at)
      from = at + 1
      if (at === cr) {
        afterCr = from === bytes.length
        if (bytes[from] === LF) from += 1
        cr = bytes.indexOf(CR, from)
      }
      if (lf >= 0 && lf < from) lf = bytes.indexOf(LF, from)
    }
    if (from < bytes.length) keep(bytes, from, bytes.length)
  }

  function end(): void {
    if (restLength > 0 || skipping) line(rest, 0, 0)
  }

  return { push, end, isBetween: () => restLength === 0 && !skipping && !afterCr }
}

/** Doubling keeps the cost linear when a long line comes byte by byte. */
function enlarged(bytes: Buffer, lengthMin: number): Buffer {
  const larger = Buffer.alloc(Math.max(lengthMin, bytes.length * 2))
  bytes.copy(larger)
  return larger
}

/** A byte order mark in UTF-8. */
function hasMark(bytes: Buffer, from: number, to: number): boolean {
  if (to - from < 3) return false
  return bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf
}
