import { expect } from 'chai'
import type { Aggregate, RuleEpisode } from '../../../schemas/records.ts'
import { AGGREGATES, TRIGGER_EVENTS, TRIGGER_STATE } from '../../../schemas/topics.ts'
import type { Plan, Processor } from '../../../services/core/processor.ts'
import { createTriggers } from '../../../services/triggers/processor.ts'
import { compare, distribution, E2E_P95, rule, windowEnding } from '../core/triggers/fixture.ts'

const FAST = { metrics: { e2e_us: distribution({ p95: 1 }) } }
const SLOW = rule({ when: compare(E2E_P95, 100_000) })

function processorOf(changelog: readonly unknown[] = []): Processor {
  const assignment = {
    ...{ topic: AGGREGATES, partition: 0, committed: null, firstOffset: 0, changelog },
    partitions: { [TRIGGER_EVENTS]: 1, [TRIGGER_STATE]: 1 },
  }
  return createTriggers(assignment, { rules: [SLOW], statesMax: 9 }, { count: () => {} })
}

function give(processor: Processor, windows: readonly Aggregate[]): Plan {
  const records = windows.map((value, offset) => ({ offset, appendMs: 0, value, bad: null }))
  return processor.onBatch({ topic: AGGREGATES, partition: 0, records })
}

function topicsOf({ outputs, commit }: Plan): readonly unknown[] {
  return [...new Set(outputs.map(({ topic }) => topic)), commit?.offset]
}

describe('triggers/processor', () => {
  it('has the events acknowledged before it lets the states say that they are out', () => {
    const plan = give(processorOf(), [windowEnding(0)])
    expect(topicsOf(plan)).to.deep.equal([TRIGGER_EVENTS, undefined])
    expect(topicsOf(plan.rest!())).to.deep.equal([TRIGGER_STATE, 1])
    expect(plan.rest!().rest).to.equal(undefined)
  })

  it('goes on from the newest state, whatever a member that was given up appended after it', () => {
    const plan = give(processorOf(), [windowEnding(0)])
    const firing = plan.rest!().outputs[0]!.value as RuleEpisode
    const later = { ...firing, evaluated_through: windowEnding(9).end }
    expect(give(processorOf([firing]), [windowEnding(2, FAST)]).outputs).to.have.length(1)
    expect(give(processorOf([later, firing]), [windowEnding(2, FAST)]).outputs).to.deep.equal([])
  })
})
