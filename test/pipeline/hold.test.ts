import { expect } from 'chai'
import type { TokenEvents } from '../../schemas/records.ts'
import { NOON_MS, NOON_US, wholeRequest } from '../records.ts'
import { createPipeline } from './harness.ts'
import { differences, latest, recompute } from './oracle.ts'

const SECONDS = 5 * 60
/** A request ends 0.1 s after its start. */
const GAPS_US = [50_000, 50_000]
const LAG_US = 1_800e6

describe('pipeline/hold', () => {
  it('closes windows without a partition that stays behind, says so, and corrects them when it comes', async () => {
    const argv = { statistics: ['--hold', '1m'] }
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 2, argv })
    const sent: TokenEvents[] = []
    async function request(partition: number, startedAt: number): Promise<void> {
      const request_id = `${partition}-${startedAt}`
      sent.push(wholeRequest({ request_id, started_at: startedAt, gaps_us: GAPS_US }))
      await pipeline.produce([sent.at(-1)!], partition)
    }
    for (let s = 0; s < SECONDS; s++) {
      await request(0, NOON_US + s * 1e6)
      // Half an hour behind: nobody could say that it is idle.
      if (s % 5 === 0) await request(1, NOON_US - LAG_US + s * 1e6)
      await pipeline.pass(1_000)
    }
    const held = (await pipeline.aggregates()).filter(({ end }) => end === NOON_MS + 120_000)
    expect(held.length).greaterThan(0)
    expect(held.filter(({ incomplete }) => !incomplete)).deep.equal([])
    const late = (await pipeline.aggregates()).filter(({ end }) => end > NOON_MS + 4 * 60_000)
    expect(late, 'held for a minute').deep.equal([])
    // Now the lagging one goes silent, and nothing is waited for any more.
    await pipeline.pass(120_000)
    const standing = latest(await pipeline.aggregates())
    expect([...standing.values()].filter(({ incomplete }) => incomplete)).deep.equal([])
    const isOver = ([key]: readonly [string, unknown]) => {
      const [start, size] = key.split(' ').reverse().map(Number)
      return start! + size! * 1000 <= NOON_MS + SECONDS * 1000
    }
    const exact = new Map([...recompute(sent)].filter(isOver))
    expect(differences(new Map([...standing].filter(isOver)), exact)).deep.equal([])
    expect(pipeline.health.statistics.totals().hold_ended).greaterThan(0)
  }).timeout(60_000)
})
