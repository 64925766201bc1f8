import { z } from 'zod'
import { instantMs } from '../core/instant.ts'

/** A time such as 2026-11-24T12:00:00Z; the value is in milliseconds since the epoch. */
export const instant = z.string().transform((text, context) => {
  const ms = instantMs(text)
  if (Number.isFinite(ms)) return ms
  context.addIssue(`${JSON.stringify(text)} is no time; write 2026-11-24T12:00:00Z`)
  return z.NEVER
})

/** A series such as {"model":"m"}: labels as JSON. */
export const seriesLabels = z.string().transform((text, context): Record<string, string> => {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(text))
  } catch {
    const example = `write '{"model":"m"}', or '{}' for the fleet`
    context.addIssue(`${JSON.stringify(text)} is no series; ${example}`)
    return z.NEVER
  }
})

/** a,b;a; means the groupings [a, b], [a] and [] (the fleet), as windowing has them. */
export const groupingList = z
  .string()
  .transform((text) => text.split(';').map((part) => part.split(',').filter((name) => name !== '')))
