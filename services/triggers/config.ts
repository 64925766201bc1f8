import { z } from 'zod'
import { serviceOptions } from '../bus/service.ts'
import { DEFAULT_STATES_MAX } from './processor.ts'

export const DEFAULT_RULES = new URL('default-rules.yaml', import.meta.url).pathname

export const triggersOptions = z.object({
  ...serviceOptions,
  rules: z.string().default(DEFAULT_RULES).describe('YAML file of rules'),
  statesMax: z.coerce
    .number()
    .int()
    .min(1)
    .default(DEFAULT_STATES_MAX)
    .describe('pairs of rule and series per partition; more are refused and counted'),
})

export type TriggersConfig = z.infer<typeof triggersOptions>
