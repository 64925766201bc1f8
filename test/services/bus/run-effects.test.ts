import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import {
  createFixture,
  echo,
  echoSpec,
  type Fixture,
  NOTHING,
  OUTPUT,
  output,
} from './stage-fixture.ts'

const AWAY = new LensError('store_unavailable', 'away', { retryable: true })
const BROKEN = new LensError('store_unavailable', 'no such bucket')

describe('bus/run, effects', () => {
  let fixture: Fixture
  let seen: string[]
  beforeEach(async () => {
    fixture = await createFixture(2)
    seen = []
  })

  it('carries an effect out again until it succeeds', async () => {
    let failures = 2
    const carryOut = async (effect: string): Promise<void> => {
      fixture.trace.push(`effect ${effect}`)
      if (failures-- > 0) throw AWAY
    }
    await fixture.start(echoSpec(seen, { create: echo(seen, {}, true), carryOut }))
    await fixture.produce(0, 5)
    await fixture.memory.settle()
    const effects = ['effect 5', 'effect 5', 'effect 5']
    expect(fixture.trace).to.deep.equal([`append ${OUTPUT}-0 1`, ...effects, 'commit 0 1'])
    expect(fixture.failures).to.deep.equal([])
  })

  it('ends at an effect that cannot succeed, once, without a commit', async () => {
    const create = echo(seen, { onDrain: () => ({ ...NOTHING, outputs: [output(99, 0)] }) }, true)
    const carryOut = async (): Promise<void> => Promise.reject(BROKEN)
    const stage = await fixture.start(echoSpec(seen, { create, carryOut }))
    await fixture.produce(0, 5)
    await fixture.produce(1, 6)
    await fixture.memory.settle()
    expect(fixture.failures).to.deep.equal([BROKEN])
    await stage.tick()
    expect(await stage.stop().catch((error) => error), 'stop says so too').to.equal(BROKEN)
    expect([await fixture.committed(0), await fixture.committed(1)]).to.deep.equal([null, null])
    expect(await fixture.outputs(0), 'a failed stage does not drain').not.to.include(99)
  })

  it('carries out the effects of a drain', async () => {
    const effects: string[] = []
    const carryOut = async (effect: string) => void effects.push(effect)
    const onDrain = () => ({ ...NOTHING, effects: ['last'] })
    const create = echo(seen, { onDrain })
    await (await fixture.start(echoSpec(seen, { create, carryOut }))).stop()
    expect(effects).to.deep.equal(['last', 'last'])
  })

  /** Stops the stage in the middle of an effect; its drain would commit beyond it. */
  async function stopsWhile(carryOut: () => Promise<void>): Promise<unknown> {
    const onDrain = () => ({ ...NOTHING, commit: { offset: 2, metadata: 'drained' } })
    const create = echo(seen, { onDrain }, true)
    const stage = await fixture.start(echoSpec(seen, { create, carryOut }))
    await fixture.produce(0, 5)
    const settled = fixture.memory.settle()
    while (seen.length === 0) await new Promise(setImmediate)
    const outcome = stage.stop().catch((error) => error)
    await settled
    return outcome
  }

  it('commits nothing over what fails while it stops, and says what failed', async () => {
    expect(await stopsWhile(() => new Promise((_, no) => setImmediate(no, BROKEN)))).equal(BROKEN)
    expect(fixture.failures, 'it is ending already').to.deep.equal([])
    expect(await fixture.committed(0)).to.equal(null)
  })

  it('gives up some seconds after it is stopped what was under way and can never succeed', async () => {
    const away = () => {
      fixture.clock.advance(1000)
      return Promise.reject(AWAY)
    }
    expect(await stopsWhile(away)).to.equal(AWAY)
    expect(await fixture.committed(0)).to.equal(null)
  })
})
