import { expect } from 'chai'
import { createBoundedBytes } from '../../../services/collector/bounded-bytes.ts'

const MIB = 1 << 20

describe('collector/bounded-bytes', () => {
  it('gives a body of the limit whole, and none of a longer one', () => {
    for (const [length, expected] of [
      [10, 'x'.repeat(10)],
      [11, null],
    ] as const) {
      const body = createBoundedBytes(10)
      for (let i = 0; i < length; i++) body.push(Buffer.from('x'))
      expect(body.text()).to.equal(expected)
    }
  })

  it('holds 256 MiB of all bodies together; the next one fits when one has gone', () => {
    // One buffer, held many times: the test takes no such memory.
    const bytes = Buffer.alloc(4 * MIB, 'x')
    const bodies = Array.from({ length: 65 }, () => createBoundedBytes(4 * MIB))
    for (const body of bodies) body.push(bytes)
    const last = bodies.pop()!
    expect(last.text()).to.equal(null)
    bodies.pop()!.drop()
    const next = createBoundedBytes(4 * MIB)
    next.push(bytes)
    expect(next.text()).to.have.length(4 * MIB)
    for (const body of bodies) body.drop()
  })
})
