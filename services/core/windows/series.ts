import type { ResourceSample } from '../../../schemas/records.ts'
import { dimensionValue, type Labels } from '../measure/labels.ts'

/** The labels that tell the series of one grouping apart; empty for the whole fleet. */
export type Grouping = readonly string[]

/** One value for each dimension of a grouping. */
export interface Series {
  /** Canonical: JSON of the labels, dimensions in the order of their names. */
  readonly key: string
  readonly labels: Readonly<Record<string, string>>
}

/** The groupings of design §2. */
export const DEFAULT_GROUPINGS: readonly Grouping[] = [
  ['model', 'endpoint', 'region', 'tenant'],
  ['model'],
  ['endpoint'],
  ['tenant'],
  [],
]

/** Value of every dimension of the series that takes what a cap has folded. */
export const OTHER = '__other__'

/** The series with these labels. */
export function seriesOf(labels: Readonly<Record<string, string>>): Series {
  const sorted = Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { key: JSON.stringify(sorted), labels: sorted }
}

/** The series of a request in a grouping. */
export function requestSeries(grouping: Grouping, labels: Labels): Series {
  return seriesOf(Object.fromEntries(grouping.map((name) => [name, dimensionValue(labels, name)])))
}

/** The series of a sample in a grouping; null when it does not carry all of its dimensions. */
export function seriesOfSample(sample: ResourceSample, grouping: Grouping): Series | null {
  const { endpoint, model, region, attributes } = sample
  const carried: Readonly<Record<string, string>> = { ...attributes, endpoint, model, region }
  const labels = grouping.map((name) => [name, carried[name] ?? ''] as const)
  return labels.some(([, value]) => value === '') ? null : seriesOf(Object.fromEntries(labels))
}

/** The series of a request in each grouping, and in the finest one. */
export interface RequestSeries {
  /** All labels, in which equal ones are equal. */
  readonly text: string
  readonly finest: Series
  readonly byGrouping: readonly Series[]
}

/** Finds the series of labels; equal labels must be the same object: it is made once for each. */
export function createSeriesIndex(
  groupings: readonly Grouping[],
): (labels: Labels) => RequestSeries {
  const known = new WeakMap<Labels, RequestSeries>()
  const finest = finestGrouping(groupings)
  return (labels) => {
    let series = known.get(labels)
    if (!series) {
      const byGrouping = groupings.map((grouping) => requestSeries(grouping, labels))
      const text = JSON.stringify(labels)
      series = { text, finest: requestSeries(finest, labels), byGrouping }
      known.set(labels, series)
    }
    return series
  }
}

/** The overflow series of a grouping. */
export function otherSeries(grouping: Grouping): Series {
  return seriesOf(Object.fromEntries(grouping.map((name) => [name, OTHER])))
}

/** The dimensions that any of the groupings names: events are folded by these first. */
export function finestGrouping(groupings: readonly Grouping[]): Grouping {
  return [...new Set(groupings.flat())].sort()
}

/** Whether a series belongs to a grouping: it has exactly its dimensions. */
export function hasGrouping(labels: Readonly<Record<string, string>>, grouping: Grouping): boolean {
  return (
    Object.keys(labels).length === grouping.length &&
    grouping.every((name) => Object.hasOwn(labels, name))
  )
}
