const encoder = new TextEncoder()

/** 32-bit FNV-1a over the UTF-8 bytes of `text`, so that any language can compute a partition. */
export function hash32(text: string): number {
  const bytes = encoder.encode(text)
  let hash = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) {
    hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  }
  return hash >>> 0
}

/** The partition of a key: hash32 modulo the number of partitions. */
export function partitionOf(key: string, partitions: number): number {
  return hash32(key) % partitions
}
