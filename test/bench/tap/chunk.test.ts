import { expect } from 'chai'
import { chunkSentAt, createInstants } from './chunk.ts'

describe('chunk', () => {
  it('is one event of a chunked body, as OpenAI sends it', () => {
    const [size, event, rest] = chunkSentAt(1_234_567.9).split('\r\n')
    expect(Number.parseInt(size!, 16)).equal(event!.length)
    expect(rest).equal('')
    const value = JSON.parse(event!.replace(/^data: /, ''))
    expect(value.choices[0].delta).deep.equal({ content: '0000000001234567' })
  })

  it('finds every instant once, wherever the bytes are split', () => {
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n\r\n${chunkSentAt(1e9)}${chunkSentAt(2e9)}`)
    for (let first = 1; first < bytes.length - 1; first++) {
      const seen: number[] = []
      const read = createInstants((us) => seen.push(us))
      const second = Math.min(first + 7, bytes.length)
      read(bytes.subarray(0, first))
      read(bytes.subarray(first, second))
      read(bytes.subarray(second))
      expect(seen, `split at ${first}`).deep.equal([1e9, 2e9])
    }
  })
})
