import { offsetText } from './range-marker.ts'

/** What a file's name says beside the hour. */
export interface LakePlace {
  readonly dataset: string
  readonly topic: string
  readonly partition: number
  /** First offset of the range that the file is made from. */
  readonly from: number
}

/** When the hour of a file begins, in ms since 1970; null when it is no file of rows. */
export function hourOf(path: string): number | null {
  const [, date, hour] = /\/date=([\d-]+)\/hour=(\d\d)\/[^/]+\.parquet$/.exec(path) ?? []
  return date === undefined ? null : Date.parse(`${date}T${hour}:00:00Z`)
}

/**
 * Where a row with this event time (µs since the epoch) belongs, in Hive's layout and in UTC;
 * null when the time is before 1970 or beyond what an integer of ours can tell (the year 2255).
 */
export function lakePath(place: LakePlace, eventUs: number): string | null {
  if (!Number.isSafeInteger(eventUs) || eventUs < 0) return null
  const { dataset, topic, partition, from } = place
  const iso = new Date(Math.floor(eventUs / 1000)).toISOString()
  const folder = `${dataset}/date=${iso.slice(0, 10)}/hour=${iso.slice(11, 13)}`
  return `${folder}/${topic}-${partition}-${offsetText(from)}.parquet`
}
