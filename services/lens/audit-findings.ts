/** What an audit can find wrong, in the order of the stages. */
export const FINDING_KINDS = {
  unreadable: 'a record of ours that cannot be decoded',
  gap: 'raw records that no range of slices covers, in a partition of the slices or in all',
  overlap: 'a range that begins before the last one ended, and ends after it',
  incomplete: 'a closing record with more or fewer records than it says',
  repeat: 'a range or result that was written twice, and not the same',
  closing: 'closing records of one range that say different things',
  records: 'a range that counts more or fewer records than the topic holds',
  dead_letters: 'records that are neither counted nor in lens.dead-letters, or both',
  counted: 'requests, chunks or readings of a range that are not those of its raw records',
  window: 'a final result that is not the sum of its slices, less what was too late',
  lake_missing: 'a record that should be in the lake and is not',
  lake_twice: 'a record that is in two files, or ranges of files that overlap',
  lake_extra: 'a row of the lake that no record of the topic made',
} as const

export type FindingKind = keyof typeof FINDING_KINDS

/** One discrepancy: what, where, and the figures. */
export interface Finding {
  readonly kind: FindingKind
  /** TOPIC-PARTITION, or the dataset of the lake. */
  readonly place: string
  readonly text: string
}

/** The discrepancies of one audit. */
export interface Findings {
  add(kind: FindingKind, place: string, text: string): void
  /** The first ones. */
  readonly list: readonly Finding[]
  count(): number
  /** How many there are of one place. */
  of(place: string): number
}

const KEPT_MAX = 200

/** None yet. */
export function createFindings(): Findings {
  const list: Finding[] = []
  const byPlace = new Map<string, number>()
  let count = 0
  return {
    list,
    add(kind, place, text) {
      count++
      byPlace.set(place, (byPlace.get(place) ?? 0) + 1)
      if (list.length < KEPT_MAX) list.push({ kind, place, text })
    },
    count: () => count,
    of: (place) => byPlace.get(place) ?? 0,
  }
}

/** The offsets [from, to), for a person. */
export function span(from: number, to: number): string {
  return `[${from}, ${to})`
}
