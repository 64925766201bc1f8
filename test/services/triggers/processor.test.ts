import { expect } from 'chai'
import { AGGREGATES, TOPICS, TRIGGER_EVENTS, TRIGGER_STATE } from '../../../schemas/topics.ts'
import type { Plan } from '../../../services/core/processor.ts'
import { createTriggers } from '../../../services/triggers/processor.ts'
import { parseRules } from '../../../services/triggers/rules-file.ts'
import { NOON_MS } from '../../records.ts'

const RULES = `rules:
  - { name: any, groupBy: [], window: 1m, when: { ratio: errors, of: requests, above: 0 } }`

describe('services/triggers/processor', () => {
  it('lets an event be in the log before the state that remembers it', () => {
    const partitions = Object.fromEntries(TOPICS.map(({ name }) => [name, 1]))
    const processor = createTriggers(
      {
        topic: AGGREGATES,
        partition: 0,
        committed: null,
        firstOffset: 0,
        changelog: [],
        partitions,
      },
      { rules: parseRules(RULES, 'rules'), statesMax: 10 },
      { count() {} },
    )
    const window = { series: {}, size_s: 60, start: NOON_MS, end: NOON_MS + 60_000 }
    const value = { ...window, final: true, revision: 0, requests: 2, errors: 1 }
    const record = { offset: 7, appendMs: NOON_MS, value, bad: null }
    const parts: string[][] = []
    let plan: Plan | undefined = processor.onBatch({
      topic: AGGREGATES,
      partition: 0,
      records: [record],
    })
    for (; plan; plan = plan.rest?.()) {
      const commit = plan.commit ? [`commit ${plan.commit.offset}`] : []
      parts.push([...plan.outputs.map(({ topic }) => topic), ...commit])
    }
    expect(parts).deep.equal([[TRIGGER_EVENTS], [TRIGGER_STATE, 'commit 8']])
  })
})
