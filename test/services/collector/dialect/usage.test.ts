import { expect } from 'chai'
import { createUsageCounter } from '../../../../services/collector/dialect/usage.ts'

const usage = (outputTokens: number) => ({ outputTokens })

/** A step: [choice index, has output, completion tokens or none]. */
type Step = readonly [index: number, hasOutput: boolean, tokens: number | null]

function count(steps: readonly Step[]) {
  const counter = createUsageCounter()
  const tokens = steps.map(([index, hasOutput, n]) =>
    counter.chunk({ choices: 1, index, hasOutput }, n === null ? null : usage(n)),
  )
  return { tokens, counter }
}

describe('collector/dialect/usage', () => {
  it('gives the tokens since the last output chunk', () => {
    const { tokens, counter } = count([
      [0, false, 0],
      [0, true, 2],
      [0, true, 3],
      [0, false, 5],
      [0, true, 6],
      [0, false, 6],
    ])
    expect(tokens).to.deep.equal([null, 2, 1, null, 3, null])
    expect(counter.usage().outputTokens).to.equal(6)
  })

  it('gives zero for a second chunk of one step, and no count once they have fallen', () => {
    const { tokens, counter } = count([
      [0, true, 4],
      [0, true, 4],
      [0, true, 3],
      [0, true, 5],
    ])
    expect(tokens).to.deep.equal([4, 0, null, null])
    expect(counter.disagrees()).to.equal(true)
  })

  it('sees that the chunks have more than the total', () => {
    const { counter } = count([
      [0, true, 4],
      [0, true, 6],
    ])
    expect(counter.disagrees()).to.equal(false)
    counter.total(usage(5))
    expect(counter.disagrees()).to.equal(true)
  })

  it('does not credit a chunk with the tokens of those that went by uncounted', () => {
    expect(
      count([
        [0, true, null],
        [0, true, null],
        [0, true, 30],
        [0, true, 31],
      ]).tokens,
    ).to.deep.equal([null, null, null, 1])
  })

  it('takes a count of zero in spite of output for a field that is filled in later', () => {
    expect(
      count([
        [0, true, 0],
        [0, true, 0],
      ]).tokens,
    ).to.deep.equal([null, null])
  })

  it('counts every choice by itself and adds them up until the total comes', () => {
    const { tokens, counter } = count([
      [0, true, 1],
      [1, true, 2],
      [0, true, 4],
      [1, true, 3],
    ])
    expect(tokens).to.deep.equal([1, 2, 3, 1])
    expect(counter.usage().outputTokens).to.equal(7)
    counter.chunk({ choices: 0, index: 0, hasOutput: false }, usage(9))
    expect(counter.usage().outputTokens).to.equal(9)
  })

  it('gives up counting chunks when several choices share one', () => {
    const counter = createUsageCounter()
    const shared = { choices: 2, index: 0, hasOutput: true }
    expect(counter.chunk(shared, usage(2))).to.equal(null)
    expect(counter.chunk({ choices: 1, index: 0, hasOutput: true }, usage(3))).to.equal(null)
    expect(counter.usage().outputTokens).to.equal(3)
  })

  it('bounds the choices that it follows', () => {
    const counter = createUsageCounter()
    for (let index = 0; index < 128; index++) {
      counter.chunk({ choices: 1, index, hasOutput: true }, usage(1))
    }
    expect(counter.beyond()).to.equal(0)
    expect(counter.chunk({ choices: 1, index: 128, hasOutput: true }, usage(1))).to.equal(null)
    expect(counter.beyond()).to.equal(1)
    expect(counter.chunk({ choices: 1, index: 5, hasOutput: true }, usage(2))).to.equal(1)
  })
})
