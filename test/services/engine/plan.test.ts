import { expect } from 'chai'
import fc from 'fast-check'
import { createRandom } from '../../../services/core/random.ts'
import { defaultModels } from '../../../services/engine/models.ts'
import { plannedDurationUs, plannedTokens, planRequest } from '../../../services/engine/plan.ts'
import { mixSeed } from '../../../services/engine/random.ts'
import { faultyModel, planOf, quickModel } from './fixture.ts'

const idle = { running: 0, waiting: 0 }

describe('engine plan', () => {
  it('gives the same plan for the same seed and place, another for another place', () => {
    const model = quickModel()
    expect(planOf(model, 3)).to.deep.equal(planOf(model, 3))
    expect(planOf(model, 3)).not.to.deep.equal(planOf(model, 4))
  })

  it('plans integers, a first gap that is the TTFT, and chunks of 1 to 5 tokens', () => {
    const property = fc.property(fc.nat(), fc.constantFrom(...defaultModels), (seed, model) => {
      const plan = planRequest(model, createRandom(seed), idle)
      for (const { gapUs, tokens } of plan.chunks) {
        expect(gapUs).to.satisfy(Number.isSafeInteger).and.be.at.least(1)
        expect(tokens).to.be.within(1, 5)
      }
      if (plan.chunks.length > 0) expect(plan.chunks[0]!.gapUs).to.equal(plan.ttftUs)
      expect(plannedTokens(plan)).to.be.at.most(model.outputTokens.max)
    })
    fc.assert(property)
  })

  it('lets the load scale times and change nothing else', () => {
    const model = quickModel({ slots: 4, slowdownAtFull: 2 })
    const quiet = planRequest(model, createRandom(11), idle)
    const half = planRequest(model, createRandom(11), { running: 2, waiting: 0 })
    const full = planRequest(model, createRandom(11), { running: 4, waiting: 9 })
    expect(half.ttftUs).to.be.closeTo(quiet.ttftUs * 1.5, 1)
    expect(full.ttftUs).to.be.closeTo(quiet.ttftUs * 3, 2)
    expect(plannedDurationUs(full)).to.be.above(plannedDurationUs(half))
    const tokens = quiet.chunks.map((chunk) => chunk.tokens)
    expect(full.chunks.map((chunk) => chunk.tokens)).to.deep.equal(tokens)
  })

  it('cuts the same chunks short at max_tokens and says length', () => {
    const model = quickModel()
    const whole = planOf(model, 0)
    const short = planOf(model, 0, 4)
    expect(whole.fate).to.deep.equal({ kind: 'ok', finishReason: 'stop' })
    expect(short.fate).to.deep.equal({ kind: 'ok', finishReason: 'length' })
    expect(plannedTokens(short)).to.equal(4)
    const before = short.chunks.slice(0, -1)
    expect(before).to.deep.equal(whole.chunks.slice(0, before.length))
    expect(planOf(model, 0, plannedTokens(whole))).to.deep.equal(whole)
  })

  it('sends nothing of a rejected request and a strict part of a broken stream', () => {
    const cuts = new Set<number>()
    for (let sequence = 0; sequence < 50; sequence++) {
      expect(planOf(faultyModel('http429'), sequence).chunks).to.deep.equal([])
      const whole = planOf(quickModel(), sequence)
      const broken = planOf(faultyModel('truncated'), sequence)
      const sent = broken.chunks.length
      expect(sent).to.be.below(whole.chunks.length)
      expect(broken.chunks).to.deep.equal(whole.chunks.slice(0, sent))
      expect(broken.endGapUs).to.equal(whole.chunks[sent]!.gapUs)
      cuts.add(sent)
    }
    expect(cuts).to.include(0)
    expect(cuts.size).to.be.above(8)
  })

  it('draws what the model table says', () => {
    const model = { ...defaultModels[0]!, faults: { ...defaultModels[0]!.faults, http429: 0.1 } }
    const plans = Array.from({ length: 4000 }, (_, sequence) =>
      planRequest(model, createRandom(mixSeed(1, sequence)), idle),
    )
    const ok = plans.filter(({ fate }) => fate.kind === 'ok')
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
    const chunks = ok.flatMap((plan) => plan.chunks)
    const multi = chunks.filter(({ tokens }) => tokens > 1).length / chunks.length
    const gaps = ok.flatMap((plan) => plan.chunks.slice(1).map(({ gapUs }) => gapUs))
    const rejected = plans.filter(({ fate }) => fate.kind === 'rejected' && fate.status === 429)
    expect(median(ok.map(({ ttftUs }) => ttftUs))).to.be.within(28_500, 31_500)
    expect(median(gaps)).to.be.within(3900, 4100)
    expect(median(ok.map(plannedTokens))).to.be.within(38, 42)
    expect(multi).to.be.within(0.08, 0.12)
    expect(rejected.length / plans.length).to.be.within(0.08, 0.12)
  })
})
