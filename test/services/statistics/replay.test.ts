import { expect } from 'chai'
import { AGGREGATES, AGGREGATES_LIVE, WINDOW_SLICES } from '../../../schemas/topics.ts'
import { mergeSlices } from '../../../services/bus/slice-reader.ts'
import type { Commit, Decoded, Plan } from '../../../services/core/processor.ts'
import { createRandom } from '../../../services/core/random.ts'
import { DEFAULT_WINDOWS } from '../../../services/core/windows/hopping.ts'
import { createLiveBudget } from '../../../services/statistics/live-pace.ts'
import { createStatistics } from '../../../services/statistics/processor.ts'
import { sliceRecordOf } from '../../records.ts'
import { SOURCE_TOPIC, slicesLog } from './slices-log.ts'

const POLICY = {
  ...DEFAULT_WINDOWS,
  latenessMs: 120_000,
  holdMs: 900_000,
  liveEveryMs: 1_000,
  sourceTopics: [SOURCE_TOPIC],
  hasFleet: true,
}
const TURNS = 150

/** A commit, and which of the results had been published by then. */
interface Point {
  readonly commit: Commit
  readonly published: number
}

/** What an owner that begins after `committed` publishes out of a log, and when it commits. */
function run(log: readonly Decoded[], committed: Commit | null, seed: number) {
  const random = createRandom(seed)
  const published: string[] = []
  const points: Point[] = []
  const processor = createStatistics(
    {
      ...{ topic: WINDOW_SLICES, partition: 0, committed, firstOffset: 0, changelog: [] },
      partitions: { [AGGREGATES]: 1, [AGGREGATES_LIVE]: 1, [WINDOW_SLICES]: 1 },
    },
    POLICY,
    { count: () => {}, level: () => {}, mergeSlices, liveBudget: createLiveBudget() },
  )
  for (let at = processor.startOffset!; at < log.length; ) {
    const records = log.slice(at, at + 1 + Math.floor(random() * 12))
    at += records.length
    let plan: Plan | undefined = processor.onBatch({ topic: WINDOW_SLICES, partition: 0, records })
    for (; plan; plan = plan.rest?.()) {
      for (const { value } of plan.outputs) published.push(JSON.stringify(value))
      if (plan.commit) points.push({ commit: plan.commit, published: published.length })
    }
  }
  return { published, points }
}

describe('statistics/replay', () => {
  for (let seed = 1; seed <= 40; seed++) {
    it(`after any commit goes on with the identical results (seed ${seed})`, () => {
      const log = slicesLog(seed, TURNS).map(({ appendMs, value }, offset) => {
        return { offset, appendMs, value: sliceRecordOf(value), bad: null }
      })
      const whole = run(log, null, seed)
      expect(whole.published.length).greaterThan(100)
      expect(whole.points.length).greaterThan(5)
      for (const { commit, published } of whole.points) {
        const again = run(log, commit, seed + 1).published
        expect(again.sort(), commit.metadata).deep.equal(whole.published.slice(published).sort())
      }
    })
  }
})
