import { z } from 'zod'
import type { TimeSpan } from '../lake/scan.ts'
import { instant } from './replay-options.ts'

/** Where the lake is. */
export const lakeOption = {
  lake: z
    .string()
    .default('data/lake')
    .meta({ env: 'LAKE_URL' })
    .describe('the lake: a folder, file:///path or s3://bucket/prefix'),
}

/** A span of event time. */
export const spanOptions = {
  from: instant.optional().describe('rows of this time and later; from the first when left out'),
  to: instant.optional().describe('rows before this time; to the last when left out'),
}

/** That span, in microseconds. */
export function spanOf({
  from,
  to,
}: {
  from?: number | undefined
  to?: number | undefined
}): TimeSpan {
  return {
    fromUs: from === undefined ? Number.NEGATIVE_INFINITY : from * 1000,
    toUs: to === undefined ? Number.POSITIVE_INFINITY : to * 1000,
  }
}
