import { DEAD_LETTERS } from '../../schemas/topics.ts'
import {
  createFirstTime,
  type FoundLetter,
  fits,
  type LetterFilter,
  type Parts,
  placeOf,
  scanDeadLetters,
  utc,
  type Write,
} from './dead-letter-scan.ts'

/** What is listed. */
export interface ListWish extends LetterFilter {
  /** Rows that are shown, the newest; the totals are of all. */
  readonly limit: number
  readonly json: boolean
}

interface Row {
  readonly from: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly stage: string
  readonly reason: string
  readonly detail: string
  /** When the record was appended to its topic. */
  readonly at: string
  /** Of the value; null when the dead letter holds none. */
  readonly bytes: number | null
}

interface Listing {
  readonly letters: readonly Row[]
  readonly totals: Readonly<Record<string, number>>
  readonly count: number
  /** Dead letters that a stage wrote again; not in the count. */
  readonly repeats: number
  /** Records of lens.dead-letters that are no dead letters. */
  readonly unreadable: number
}

/** Writes the dead letters that fit as a table, or as one JSON object. */
export async function listDeadLetters(parts: Parts, wish: ListWish, write: Write): Promise<void> {
  const listing = await collect(parts, wish)
  write(wish.json ? `${JSON.stringify(listing)}\n` : asTable(listing))
}

/** Rows that are held beyond the limit before the oldest are let go. */
const SPARE_ROWS = 1_000

async function collect(parts: Parts, wish: ListWish): Promise<Listing> {
  const isFirst = createFirstTime()
  const totals: Record<string, number> = {}
  let rows: readonly (readonly [number, Row])[] = []
  let count = 0
  let repeats = 0
  const unreadable = await scanDeadLetters(parts, (letters) => {
    const all = letters.filter((letter) => fits(wish, letter))
    const fresh = all.filter(({ topic, partition, stage, offset }) =>
      isFirst(`${topic}-${partition} ${stage}`, offset),
    )
    repeats += all.length - fresh.length
    count += fresh.length
    for (const { reason } of fresh) totals[reason] = (totals[reason] ?? 0) + 1
    rows = [...rows, ...fresh.map((letter) => [letter.seen_at, rowOf(letter)] as const)]
    if (rows.length > wish.limit + SPARE_ROWS) rows = newest(rows, wish.limit)
  })
  const letters = newest(rows, wish.limit).map(([, row]) => row)
  return { letters, totals, count, repeats, unreadable }
}

function rowOf(letter: FoundLetter): Row {
  const { topic, partition, offset, stage, reason, detail } = letter
  const place = { from: placeOf(letter), topic, partition, offset }
  const bytes = letter.value?.length ?? null
  return { ...place, stage, reason, detail, at: utc(letter.seen_at), bytes }
}

function newest<R extends readonly [number, Row]>(rows: readonly R[], limit: number): R[] {
  const byTime = rows.toSorted(
    ([a, x], [b, y]) =>
      a - b ||
      compare(x.topic, y.topic) ||
      x.partition - y.partition ||
      x.offset - y.offset ||
      compare(x.stage, y.stage),
  )
  return byTime.slice(-limit)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

const HEADINGS = ['topic-partition-offset', 'stage', 'reason', 'appended (UTC)', 'bytes']

function asTable({ letters, totals, count, repeats, unreadable }: Listing): string {
  const rows = letters.map(({ from, stage, reason, at, bytes }) => [
    ...[from, stage, reason, at],
    String(bytes ?? '-'),
  ])
  const sums = Object.entries(totals).sort(([a, n], [b, m]) => m - n || compare(a, b))
  const notes = [
    `dead letters: ${count}`,
    letters.length < count ? `shown: the newest ${letters.length}, --limit shows more` : '',
    repeats > 0 ? `repeats left out: ${repeats}` : '',
    unreadable > 0 ? `other records in ${DEAD_LETTERS}: ${unreadable}` : '',
  ]
  return [
    ...(count > 0 ? [aligned([HEADINGS, ...rows]), ''] : []),
    ...(count > 0 ? [aligned(sums.map(([reason, n]) => [reason, String(n)])), ''] : []),
    `${notes.filter((note) => note !== '').join('; ')}\n`,
  ].join('\n')
}

/** Columns as wide as their widest cell; the last one, a number, to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  const lines = rows.map((row) =>
    row.map((cell, i) =>
      i === row.length - 1 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!),
    ),
  )
  return lines.map((cells) => cells.join('  ')).join('\n')
}
