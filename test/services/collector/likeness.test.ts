import { expect } from 'chai'
import { createAnswer } from '../../../services/collector/answer.ts'
import { OPENAI } from '../../../services/collector/dialect/openai.ts'
import { createReader } from '../../../services/collector/dialect/reader.ts'
import { createLikeness } from '../../../services/collector/likeness.ts'
import { createSseParser } from '../../../services/collector/sse.ts'
import { createRandom } from '../../../services/core/random.ts'
import { chat, DONE, FINISH, frame, ROLE, usage } from './frames.ts'

const HEAD = 'data: {"model":"m","choices":[{"index":0,"delta":{"content":"'
const TAIL = '"},"finish_reason":null}]}\n\n'
const event = (text: string) => Buffer.from(`${HEAD}${text}${TAIL}`)

function learnt(data: string) {
  const likeness = createLikeness(OPENAI.shapeOf!)
  likeness.learn(data)
  return likeness
}

const TEXTS = ['a', ' b', 'ü😀', '\n', '"', '\\', '\u2028', '}', '"}', 'ends with \\', ' data: ']

/** Events as an engine, or a gateway, may send them, most of them like one another. */
function eventsOf(seed: number): string[] {
  const random = createRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const odd = [
    () => frame(chat({ content: pick(TEXTS) }, { usage: usage(Math.floor(random() * 9)) })),
    () => frame({ model: 'llama', choices: [{ index: 1, delta: { content: pick(TEXTS) } }] }),
    () => frame(chat({ content: '' })),
    () => frame(chat({ reasoning_content: pick(TEXTS) })),
    () =>
      frame({ ...FINISH, choices: [{ index: 0, delta: { content: 'z' }, finish_reason: 'x' }] }),
    () => frame({ error: { type: 'overloaded' } }),
    () => ': a comment\n\n',
    () => `event: error\n${frame(chat({ content: 'no output' }))}`,
    () => frame(chat({ content: pick(TEXTS) })).replace('\n\n', '\r\n\r\n'),
    () => frame(chat({ content: 'é' })).replace('é', '\\u00e9'),
    () => frame({ model: 'llama', choices: [{ index: 0, text: pick(TEXTS) }] }),
    () => 'data: {"choices":[{"index":0,"delta":{"content":"\\q"},"finish_reason":null}]}\n\n',
  ]
  const oddShare = random() * 0.5
  const some = Array.from({ length: 40 }, () =>
    random() < oddShare ? pick(odd)() : frame(chat({ content: pick(TEXTS) })),
  )
  return [frame(ROLE), ...some, frame(FINISH), DONE]
}

/** The bytes in reads of any size; mostly an event each. */
function readsOf(events: readonly string[], seed: number): Buffer[] {
  const random = createRandom(seed)
  if (seed % 2 === 0) return events.map((text) => Buffer.from(text))
  const all = Buffer.from(events.join(''))
  const reads: Buffer[] = []
  for (let from = 0; from < all.length; ) {
    const to = from + 1 + Math.floor(random() * 400)
    reads.push(all.subarray(from, to))
    from = to
  }
  return reads
}

describe('collector/likeness', () => {
  it('finds the end of events that differ in their text alone', () => {
    const likeness = learnt(`${HEAD}first${TAIL}`.slice(6, -2))
    for (const text of ['a', ' token', '\\n', '\\"', '\\\\', 'ü😀', 'x'.repeat(9_000)]) {
      const bytes = Buffer.concat([event('b'), event(text), event('c')])
      const from = event('b').length
      expect(likeness.match(bytes, from), text).equal(from + event(text).length)
    }
    expect(likeness.shape()).deep.equal({ choices: 1, index: 0, hasOutput: true })
  })

  it('finds none where more may differ', () => {
    const likeness = learnt(`${HEAD}first${TAIL}`.slice(6, -2))
    const others = [
      event(''),
      event('\\u00e9'),
      event('\\q'),
      event('a\n'),
      event('a').subarray(0, -1),
      Buffer.concat([Buffer.from(' '), event('a')]),
      Buffer.from(`${HEAD}a"},"finish_reason":"stop"}]}\n\n`),
      Buffer.from(`${HEAD}a","role":"x${TAIL}`),
    ]
    for (const bytes of others) expect(likeness.match(bytes, 0), String(bytes)).equal(-1)
  })

  it('learns nothing of an event in which more counts than its text', () => {
    const events = [
      '{"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":1}}',
      '{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}',
      '{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}',
      '{"error":{"content":"a"}}',
      '{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"a"}}]}}]}',
      'no json "content":"a"',
    ]
    for (const data of events) {
      const bytes = Buffer.from(`data: ${data}\n\n`)
      expect(learnt(data).match(bytes, 0), data).equal(-1)
    }
  })

  it('gives up on a server whose events always differ in more', () => {
    const likeness = createLikeness(OPENAI.shapeOf!)
    const data = (i: number) => `{"created":${i},"choices":[{"delta":{"content":"a"}}]}`
    for (let i = 0; i < 20; i++) likeness.learn(data(i))
    expect(likeness.match(Buffer.from(`data: ${data(7)}\n\n`), 0)).greaterThan(0)
    expect(likeness.match(Buffer.from(`data: ${data(19)}\n\n`), 0)).equal(-1)
  })

  for (let seed = 1; seed <= 200; seed++) {
    it(`changes nothing of what is read (seed ${seed})`, () => {
      const events = eventsOf(seed)
      const want: unknown[] = []
      const reader = createReader(OPENAI)
      const plain = createSseParser((data, name) => {
        const reading = reader.event(data, name)
        if (reading.kind === 'output') want.push([reading.chunks, reading.tokens])
      })
      const got: unknown[] = []
      const answer = createAnswer('events', {
        dialect: OPENAI,
        onOutput: ({ chunks, tokens }) => got.push([chunks, tokens]),
        count: () => {},
        wantsTexts: false,
      })
      for (const bytes of readsOf(events, seed)) {
        plain.push(bytes)
        answer.push(bytes)
      }
      expect(got).deep.equal(want)
      expect(answer.facts()).deep.equal(reader.facts())
    })
  }
})
