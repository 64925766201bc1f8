import { readFileSync } from 'node:fs'
import { AGGREGATES, TRIGGER_STATE } from '../../schemas/topics.ts'
import type { StageHealth } from '../bus/health.ts'
import type { StageSpec } from '../bus/run.ts'
import { LensError } from '../core/errors.ts'
import type { TriggersConfig } from './config.ts'
import { createTriggers } from './processor.ts'
import { parseRules } from './rules-file.ts'

/** Triggers as a stage: final aggregates in, events out. Throws when the rules are not valid. */
export function triggersStage(
  config: Pick<TriggersConfig, 'rules' | 'statesMax'>,
  health: StageHealth,
): StageSpec {
  const policy = {
    rules: parseRules(readRules(config.rules), config.rules),
    statesMax: config.statesMax,
  }
  return {
    name: 'triggers',
    group: 'lens-triggers',
    topics: [AGGREGATES],
    changelog: TRIGGER_STATE,
    deadLetters: true,
    create: (assignment) => createTriggers(assignment, policy, health),
  }
}

function readRules(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `the rules file ${path} (--rules) cannot be read: ${(cause as Error).message}`
    throw new LensError('rules_invalid', message, { cause })
  }
}
