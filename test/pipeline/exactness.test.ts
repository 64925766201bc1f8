import { expect } from 'chai'
import type { Fault, Step } from '../../services/bus/memory-fault.ts'
import { createRandom } from '../../services/core/random.ts'
import { NOON_MS, NOON_US } from '../records.ts'
import { createPipeline, type Pipeline } from './harness.ts'
import { differences, latest, recompute } from './oracle.ts'
import { send, TRAFFIC } from './play.ts'
import { traffic } from './traffic.ts'

/** Sends the traffic as time passes, then lets 40 s pass. */
async function play(
  pipeline: Pipeline,
  sent: ReturnType<typeof traffic>,
  atEnd = () => {},
): Promise<void> {
  await send(pipeline, sent)
  atEnd()
  await pipeline.pass(40_000)
}

/** Compares every window that ended 30 s ago or earlier: those must be final by now. */
async function check(pipeline: Pipeline, sent: ReturnType<typeof traffic>): Promise<void> {
  const settled = pipeline.clock.nowMs() - 30_000
  const isSettled = ([key]: readonly [string, unknown]) => endOf(key) <= settled
  const exact = new Map([...recompute(sent.map(({ record }) => record))].filter(isSettled))
  const published = new Map([...latest(await pipeline.aggregates())].filter(isSettled))
  expect(differences(published, exact).slice(0, 5)).deep.equal([])
  expect(exact.size).greaterThan(100)
}

function endOf(key: string): number {
  const [start, size] = key.split(' ').reverse().map(Number)
  return start! + size! * 1000
}

describe('pipeline/exactness', () => {
  it('publishes exactly what a recomputation from the raw records gives', async () => {
    const sent = traffic({ ...TRAFFIC, seed: 1 })
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3 })
    await play(pipeline, sent)
    await check(pipeline, sent)
    const totals = pipeline.health.statistics.totals()
    expect(totals.late_slice, 'the traffic must have been late').greaterThan(0)
    expect(totals).not.have.any.keys('gap_range', 'overlap_range', 'incomplete_range')
  })

  it('does so for old events that arrive in one second and spread over two days', async () => {
    const days = { startUs: NOON_US - 3 * 86_400e6, spanUs: 2 * 86_400e6 }
    const sent = traffic({ ...TRAFFIC, ...days, seed: 3, requests: 300, lateShare: 0 })
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 2 })
    await pipeline.produce(sent.map(({ record }) => record))
    await pipeline.pass(20_000)
    await check(pipeline, sent)
    expect(pipeline.crashes.count).equal(0)
  }).timeout(60_000)

  it('does so for a backfill that begins after a silence and pauses', async () => {
    const yesterday = { startUs: NOON_US - 86_400e6, spanUs: 300e6 }
    const sent = traffic({ ...TRAFFIC, ...yesterday, seed: 5, requests: 200 })
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3 })
    await pipeline.pass(60_000)
    const half = sent.length / 2
    await pipeline.produce(sent.slice(0, half).map(({ record }) => record))
    await pipeline.pass(40_000)
    await pipeline.stop('statistics')
    await pipeline.start('statistics')
    await pipeline.produce(sent.slice(half).map(({ record }) => record))
    await pipeline.pass(30_000)
    await check(pipeline, sent)
  })

  it('does so when windowing and then statistics begin anew after the clock has closed windows', async () => {
    const yesterday = { startUs: NOON_US - 86_400e6, spanUs: 300e6 }
    const sent = traffic({ ...TRAFFIC, ...yesterday, seed: 6, lateShare: 0.4 })
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3 })
    const third = Math.ceil(sent.length / 3)
    for (let i = 0; i < 3; i++) {
      await pipeline.produce(sent.slice(i * third, (i + 1) * third).map(({ record }) => record))
      await pipeline.pass(i === 0 ? 40_000 : 6_000)
      const name = i === 0 ? 'windowing' : 'statistics'
      await pipeline.stop(name)
      await pipeline.start(name)
      await pipeline.settle()
    }
    await pipeline.pass(30_000)
    await check(pipeline, sent)
  })

  const seeds = Number(process.env.LENS_SEEDS ?? 12)
  for (let seed = 1; seed <= seeds; seed++) {
    it(`does so when members crash at any step and batches repeat (seed ${seed})`, async () => {
      const random = createRandom(seed)
      let striking = true
      const fault = (step: Step): Fault => {
        const x = striking ? random() : 1
        if (x < 0.004) return 'crash'
        return step === 'deliver' && x < 0.02 ? 'repeat' : 'go'
      }
      const pick = (n: number) => Math.floor(random() * n)
      const sent = traffic({ ...TRAFFIC, seed, requests: 150 })
      const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3, fault, pick })
      await play(pipeline, sent, () => {
        striking = false
      })
      await check(pipeline, sent)
      expect(pipeline.crashes.count, 'the run must have seen crashes').greaterThan(3)
      const totals = pipeline.health.statistics.totals()
      expect(totals).not.have.any.keys('gap_range', 'overlap_range', 'incomplete_range')
    })
  }
})
