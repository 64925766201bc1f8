/** Collects a body that is read whole at its end, up to a limit. */
export interface BoundedBytes {
  push(bytes: Uint8Array): void
  /** Null when the body was longer than the limit. Forgets the bytes. */
  whole(): Buffer | null
  /** The same as text. */
  text(): string | null
  /** Forgets the bytes; who does not ask for the text must say so. */
  drop(): void
}

/** What all bodies of the process hold together: ten thousand calls may be open. */
const TOGETHER_BYTES_MAX = 256 << 20
let together = 0

/**
 * Holds at most `bytesMax`, and less when others hold much; what goes over it is let go at once,
 * with all that came before.
 */
export function createBoundedBytes(bytesMax: number): BoundedBytes {
  let parts: Uint8Array[] = []
  let length = 0
  let isOver = false

  function drop(): void {
    together -= length
    length = 0
    parts = []
  }

  function whole(): Buffer | null {
    const bytes = isOver ? null : Buffer.concat(parts)
    drop()
    return bytes
  }

  return {
    push(bytes) {
      const size = bytes.length
      isOver ||= length + size > bytesMax || together + size > TOGETHER_BYTES_MAX
      if (isOver) return drop()
      parts.push(bytes)
      length += size
      together += size
    },
    whole,
    text: () => whole()?.toString('utf8') ?? null,
    drop,
  }
}
