/** Collects a body that is read whole at its end, up to a limit. */
export interface BoundedBytes {
  push(bytes: Uint8Array): void
  /** Null when the body was longer than the limit. Forgets the bytes. */
  text(): string | null
}

/** Holds at most `bytesMax`; what goes over it is let go at once, with all that came before. */
export function createBoundedBytes(bytesMax: number): BoundedBytes {
  let parts: Uint8Array[] = []
  let length = 0
  return {
    push(bytes) {
      length += bytes.length
      if (length > bytesMax) parts = []
      else parts.push(bytes)
    },
    text() {
      const whole = length > bytesMax ? null : Buffer.concat(parts).toString('utf8')
      parts = []
      return whole
    },
  }
}
