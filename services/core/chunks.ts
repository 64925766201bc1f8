/** A list in parts of at most `most` items, in order; none of nothing. */
export function chunksOf<T>(items: readonly T[], most: number): (readonly T[])[] {
  const chunks = []
  for (let at = 0; at < items.length; at += most) chunks.push(items.slice(at, at + most))
  return chunks
}
