import { expect } from 'chai'
import { createRandom } from '../../../services/core/random.ts'

function draw(seed: number, count: number): number[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, random)
}

describe('core/random', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    expect(draw(7, 100)).to.deep.equal(draw(7, 100))
    expect(draw(7, 100)).not.to.have.any.members(draw(8, 100))
  })

  it('gives numbers from 0 to below 1, alike in every tenth', () => {
    const numbers = draw(1, 100_000)
    expect(numbers.every((number) => number >= 0 && number < 1)).to.equal(true)
    for (let tenth = 0; tenth < 10; tenth++) {
      const within = numbers.filter((number) => Math.floor(number * 10) === tenth)
      expect(within.length).to.be.within(9_600, 10_400)
    }
  })
})
