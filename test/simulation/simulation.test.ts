import { expect } from 'chai'
import type { Codec } from '../../services/bus/codec.ts'
import { openCodec, simulate } from './simulate.ts'

/** More in a long run: LENS_SEEDS=2000 npx mocha test/simulation. */
const SEEDS = Number(process.env.LENS_SEEDS ?? 100)

/** What a run must have seen to be worth anything. */
const MUST_SEE = [
  'kill',
  'pause',
  'stop',
  'rebalance',
  'replayed',
  'commit_refused',
  'silence',
  'clock_set',
]
const MUST_GO_WRONG = ['reply_lost', 'torn_append', 'late_append', 'stop_paused']
const SINKS = ['late_put', 'put_again', 'slow_sink', 'sink_reply_lost', 'otlp_repeats']

describe('simulation', () => {
  let codec: Codec
  before(async () => {
    codec = await openCodec()
  })

  it(`loses nothing and counts nothing twice under any of ${SEEDS} seeds`, async () => {
    const seen: Record<string, number> = {}
    const failed: string[] = []
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await simulate(seed, codec)
      for (const [what, n] of Object.entries(outcome.seen)) seen[what] = (seen[what] ?? 0) + n
      if (outcome.faults.length > 0) failed.push(`seed ${seed}: ${outcome.faults[0]}`)
    }
    expect(failed, 'npm run simulate -- --seed N shows what happened').deep.equal([])
    expect(seen).include.all.keys(...MUST_SEE, ...MUST_GO_WRONG, ...SINKS)
    expect(seen.incomplete, 'windows that were held for too long').greaterThan(0)
    expect(seen.too_late, 'what no window could take any more').greaterThan(0)
    expect(seen.samples).greaterThan(0)
  }).timeout(SEEDS * 5_000)

  it('does the same again under the same seed', async () => {
    const hashes = new Set<string>()
    for (const seed of [1, 2, 3]) {
      const { hash } = await simulate(seed, codec)
      expect((await simulate(seed, codec)).hash).equal(hash)
      hashes.add(hash)
    }
    expect(hashes.size).equal(3)
  }).timeout(20_000)
})
