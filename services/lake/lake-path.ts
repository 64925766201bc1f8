import { DATASETS } from '../formats/datasets.ts'
import { offsetText } from './range-marker.ts'

/** What a file's name says beside the hour. */
export interface LakePlace {
  readonly dataset: string
  readonly topic: string
  readonly partition: number
  /** First offset of the range that the file is made from. */
  readonly from: number
}

const HOUR_MS = 3_600_000
const FORM =
  /^(\w+)\/date=(\d{4}-\d\d-\d\d)\/hour=(\d\d)\/(?:([^/]+)-\d+-\d{20}|compacted-\d+-\w+)\.parquet$/

/** When the hour of a file begins, in ms since 1970; null when it is no file of the lake. */
export function hourOf(path: string): number | null {
  const [, name, date, hour, topic] = FORM.exec(path) ?? []
  const dataset = DATASETS.find((one) => one.name === name)
  const isOurs = dataset !== undefined && (topic ?? dataset.topic) === dataset.topic
  return isOurs ? Date.parse(`${date}T${hour}:00:00Z`) : null
}

/** Whether all that a file of the lake can hold lies before a time. */
export function liesBefore(path: string, beforeMs: number): boolean {
  const hourMs = hourOf(path)
  return hourMs !== null && hourMs + HOUR_MS <= beforeMs
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
