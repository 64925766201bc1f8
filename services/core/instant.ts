/** Milliseconds since 1970 of a time such as 2026-11-24T12:00:00Z; NaN when it is none. */
export function instantMs(text: string): number {
  // Without a zone it would be read as this machine's.
  return /T.*(Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
}
