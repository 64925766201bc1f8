/** Each case whole, and with a restart behind every one of its windows. */
import { expect } from 'chai'
import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { AGGREGATES, TRIGGER_EVENTS, TRIGGER_STATE } from '../../../schemas/topics.ts'
import type { Commit, Output, Plan } from '../../../services/core/processor.ts'
import type { Rule } from '../../../services/core/triggers/rule.ts'
import { createTriggers } from '../../../services/triggers/processor.ts'
import { parseRules } from '../../../services/triggers/rules-file.ts'
import { brief, CASES, ruleText, windowsOf } from './cases.ts'

/** All that a processor has put out, in the order in which it is appended. */
function outputsOf(first: Plan): { outputs: Output[]; commit: Commit | null } {
  const outputs: Output[] = []
  let commit: Commit | null = null
  for (let plan: Plan | undefined = first; plan; plan = plan.rest?.()) {
    outputs.push(...plan.outputs)
    commit = plan.commit ?? commit
  }
  return { outputs, commit }
}

/** The events of a rule over windows, by an owner for each of the parts. */
function eventsOf(rule: Rule, parts: readonly (readonly Aggregate[])[]): TriggerEvent[] {
  const states = new Map<string, RuleEpisode>()
  const events: TriggerEvent[] = []
  let committed: Commit | null = null
  let offset = 0
  for (const part of parts) {
    const assignment = {
      ...{ topic: AGGREGATES, partition: 0, committed, firstOffset: 0 },
      changelog: [...states.values()],
      partitions: { [TRIGGER_EVENTS]: 1, [TRIGGER_STATE]: 1 },
    }
    const owner = createTriggers(assignment, { rules: [rule], statesMax: 9 }, { count: () => {} })
    const records = part.map((value) => ({ offset: offset++, appendMs: 0, value, bad: null }))
    const plan = owner.onBatch({ topic: AGGREGATES, partition: 0, records })
    const done = outputsOf(plan)
    committed = done.commit
    for (const { topic, key, value } of done.outputs) {
      const isOurs = key!.includes('"m-1"')
      if (topic === TRIGGER_EVENTS && isOurs) events.push(value as TriggerEvent)
      else if (topic === TRIGGER_EVENTS) continue
      else states.set(key!, value as RuleEpisode)
    }
  }
  return events
}

describe('triggers: cases', () => {
  for (const [name, text, windows, expected] of CASES) {
    it(`${name}: ${windows}`, () => {
      const rule = parseRules(`rules:\n${ruleText(text)}`, 'case')[0]!
      const log = windowsOf(windows)
      const whole = eventsOf(rule, [log])
      expect(brief(whole)).to.equal(expected)
      const each = eventsOf(
        rule,
        log.map((window) => [window]),
      )
      expect(each, 'with a restart behind each window').to.deep.equal(whole)
      for (let cut = 1; cut < log.length; cut++) {
        const cutOnce = eventsOf(rule, [log.slice(0, cut), log.slice(cut)])
        expect(cutOnce, `with a restart behind ${cut}`).to.deep.equal(whole)
      }
      // What has been applied before changes nothing.
      const again = eventsOf(rule, [log, log])
      expect(again, 'the same once more').to.deep.equal(whole)
    })
  }
})
