import { z } from 'zod'
import { duration } from '../bus/config.ts'
import { serviceOptions } from '../bus/service.ts'
import { DEFAULT_GROUPINGS } from '../core/windows/series.ts'
import { DEFAULT_SERIES_MAX } from './fold.ts'
import { DEFAULT_RECORDS_MAX } from './processor.ts'

const DIMENSION = /^[a-z_][\w.-]*$/i

/** model,endpoint;model; means [model, endpoint], [model] and [] (the fleet). */
export const groupings = z.string().transform((text, context) => {
  const parts = text.split(';').map((part) =>
    part
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  )
  for (const part of parts) {
    const bad = part.find((name, at) => !DIMENSION.test(name) || part.indexOf(name) !== at)
    if (bad)
      context.addIssue(`${JSON.stringify(bad)} is no dimension, or named twice in a grouping`)
  }
  return parts
})

const DEFAULT_TEXT = DEFAULT_GROUPINGS.map((grouping) => grouping.join(',')).join(';')

export const windowingOptions = z.object({
  ...serviceOptions,
  groupings: groupings
    .prefault(DEFAULT_TEXT)
    .describe('groupings: dimensions by comma, groupings by semicolon, an empty one is the fleet'),
  seriesMax: z.coerce
    .number()
    .int()
    .min(1)
    .default(DEFAULT_SERIES_MAX)
    .describe('series per grouping in one range; the rest is counted as __other__'),
  recordsMax: z.coerce
    .number()
    .int()
    .min(1)
    .default(DEFAULT_RECORDS_MAX)
    .describe('records in one range at most; the same in every instance'),
  disorder: duration.prefault('5s').describe('how far an event may lie behind the latest'),
  future: duration.prefault('1m').describe('an event further ahead of its append is refused'),
  idleAfter: duration.prefault('10s').describe('without records so long, follow the clock'),
  cutMargin: duration.prefault('2s').describe('clock difference between brokers, at most'),
})

export type WindowingConfig = z.infer<typeof windowingOptions>
