import { expect } from 'chai'
import { createSlots } from '../../../services/engine/slots.ts'

describe('engine slots', () => {
  it('starts at most as many as there are slots, then those that wait in order', () => {
    const slots = createSlots(2, 10)
    const started: number[] = []
    const seats = [0, 1, 2, 3].map((index) => slots.enter(() => started.push(index))!)
    expect(started).to.deep.equal([0, 1])
    expect([slots.running, slots.waiting]).to.deep.equal([2, 2])
    seats[1]!.leave()
    expect(started).to.deep.equal([0, 1, 2])
    seats[0]!.leave()
    expect(started).to.deep.equal([0, 1, 2, 3])
    expect([slots.running, slots.waiting]).to.deep.equal([2, 0])
  })

  it('has no room beyond the queue', () => {
    const slots = createSlots(1, 1)
    slots.enter(() => {})
    slots.enter(() => {})
    expect(slots.enter(() => expect.fail('must not start'))).to.equal(null)
    expect([slots.running, slots.waiting]).to.deep.equal([1, 1])
  })

  it('never starts one that left the queue, and counts a second leave for nothing', () => {
    const slots = createSlots(1, 5)
    const first = slots.enter(() => {})!
    const second = slots.enter(() => expect.fail('must not start'))!
    second.leave()
    second.leave()
    first.leave()
    first.leave()
    expect([slots.running, slots.waiting]).to.deep.equal([0, 0])
  })
})
