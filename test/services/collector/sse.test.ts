import { expect } from 'chai'
import fc from 'fast-check'
import { createSseParser, SSE_LIMITS, type SseLimits } from '../../../services/collector/sse.ts'

type Event = readonly [data: string, name: string]

/** The events of bytes that arrive in the given pieces. */
function read(pieces: readonly Uint8Array[], limits: SseLimits = SSE_LIMITS) {
  const events: Event[] = []
  const parser = createSseParser((data, name) => events.push([data, name]), limits)
  for (const piece of pieces) {
    // The parser must not hold on to what it was given.
    const lent = Uint8Array.from(piece)
    parser.push(lent)
    lent.fill(0x2a)
  }
  const beforeEnd = events.length
  parser.end()
  return { events, beforeEnd, tooLong: parser.tooLong() }
}

function events(text: string): readonly Event[] {
  return read([Buffer.from(text)]).events
}

function cut(bytes: Buffer, at: readonly number[]): Uint8Array[] {
  const cuts = [0, ...at.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((to, i) => bytes.subarray(cuts[i], to))
}

describe('collector/sse', () => {
  it('ends lines at LF, CRLF and CR, also mixed', () => {
    for (const text of ['data: a\n\ndata: b\n\n', 'data: a\r\n\r\ndata: b\r\n\r\n']) {
      expect(events(text)).to.deep.equal([
        ['a', ''],
        ['b', ''],
      ])
    }
    expect(events('data: a\r\rdata: b\r\n\ndata: c\n\r')).to.deep.equal([
      ['a', ''],
      ['b', ''],
      ['c', ''],
    ])
  })

  it('takes data with and without a space, and keeps a second space', () => {
    expect(events('data:x\n\ndata: x\n\ndata:  x\n\n').map(([data]) => data)).to.deep.equal([
      'x',
      'x',
      ' x',
    ])
  })

  it('joins several data lines with LF, an empty one included', () => {
    expect(events('data: a\ndata\ndata: b\n\n')).to.deep.equal([['a\n\nb', '']])
  })

  it('ignores comments, also inside an event, and makes no event of them', () => {
    expect(events(': hello\n\n:\n\ndata: a\n: inside\ndata: b\n\n')).to.deep.equal([['a\nb', '']])
  })

  it('gives the name of an event and forgets it with the event', () => {
    const text = 'event: ping\n\nevent: error\ndata: a\n\ndata: b\n\n'
    expect(events(text)).to.deep.equal([
      ['a', 'error'],
      ['b', ''],
    ])
  })

  it('tolerates fields that it does not know', () => {
    expect(events('id: 1\nretry: 10\ndatax: no\nda: no\nfoo\ndata: a\n\n')).to.deep.equal([
      ['a', ''],
    ])
  })

  it('strips one byte order mark at the very beginning only', () => {
    expect(events('\ufeffdata: a\n\n')).to.deep.equal([['a', '']])
    expect(events('data: a\n\n\ufeffdata: b\n\n')).to.deep.equal([['a', '']])
  })

  it('does not take other line separators of Unicode for line ends', () => {
    const data = '"\u2028\u2029\u0085\v\f"'
    expect(events(`data: ${data}\n\n`)).to.deep.equal([[data, '']])
  })

  it('emits a last event that nothing ended, at the end and not before', () => {
    for (const text of ['data: a\n\ndata: b', 'data: a\n\ndata: b\n', 'data: a\n\ndata: b\r']) {
      const { events: all, beforeEnd } = read([Buffer.from(text)])
      expect(all.map(([data]) => data)).to.deep.equal(['a', 'b'])
      expect(beforeEnd).to.equal(1)
    }
  })

  it('leaves an event out and counts it when a line of it is too long', () => {
    const limits = { lineBytesMax: 16, dataLengthMax: 100 }
    const text = `data: ${'x'.repeat(50)}\ndata: a\n\ndata: b\n\n`
    const { events: all, tooLong } = read([Buffer.from(text)], limits)
    expect(all).to.deep.equal([['b', '']])
    expect(tooLong).to.equal(1)
  })

  it('bounds the data of one event, however short its lines are', () => {
    const limits = { lineBytesMax: 100, dataLengthMax: 20 }
    const text = `${'data: 0123456789\n'.repeat(5)}\ndata: b\n\n`
    const { events: all, tooLong } = read([Buffer.from(text)], limits)
    expect(all).to.deep.equal([['b', '']])
    expect(tooLong).to.equal(1)
  })

  it('reads a long line that comes byte by byte in linear time', () => {
    const line = Buffer.from(`data: ${'é'.repeat(200_000)}\n\n`)
    const pieces = Array.from(line, (_, i) => line.subarray(i, i + 1))
    expect(read(pieces).events[0]![0]).to.have.length(200_000)
  })

  it('gives the same events for every split of the bytes', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }).map((text) => `data: ${text}`),
      fc.constantFrom('', '', ':c', 'data:x', 'event: e', 'data', 'id: 4', 'data: \u2028é😀'),
      fc.constant(`data: ${'long'.repeat(12)}`),
    )
    const ending = fc.constantFrom('\n', '\r\n', '\r')
    const text = fc
      .tuple(fc.boolean(), fc.array(fc.tuple(line, ending), { maxLength: 30 }), line)
      .map(([mark, lines, last]) => `${mark ? '\ufeff' : ''}${lines.flat().join('')}${last}`)
    const limits = { lineBytesMax: 40, dataLengthMax: 60 }
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 40 }), (whole, cuts) => {
        const bytes = Buffer.from(whole)
        const expected = read([bytes], limits)
        const { events: all, tooLong } = read(cut(bytes, cuts), limits)
        expect(all).to.deep.equal(expected.events)
        expect(tooLong).to.equal(expected.tooLong)
        const single = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
        expect(read(single, limits).events).to.deep.equal(expected.events)
      }),
      { numRuns: 500 },
    )
  })
})
