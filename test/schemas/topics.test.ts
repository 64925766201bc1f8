import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import * as topics from '../../schemas/topics.ts'

const { TOPICS, topicNamed } = topics
const AVRO = new URL('../../schemas/avro/', import.meta.url).pathname
const HOUR_MS = 3_600_000

describe('schemas/topics', () => {
  it('gives every topic a schema that exists, and uses every schema', () => {
    const files = readdirSync(AVRO).map((file) => file.replace(/\.avsc$/, ''))
    expect([...new Set(TOPICS.map(({ schema }) => schema))]).to.have.members(files)
  })

  it('names no two topics alike, each with the prefix lens.', () => {
    const names = TOPICS.map(({ name }) => name)
    expect(new Set(names).size).to.equal(names.length)
    expect(names.filter((name) => !/^lens\.[a-z]+(-[a-z]+)*$/.test(name))).to.deep.equal([])
  })

  it('has a row for every exported name', () => {
    const exported = Object.values(topics).filter((value) => typeof value === 'string')
    expect(TOPICS.map(({ name }) => name)).to.have.members(exported)
  })

  it('finds a row by its name, and throws on a name that is not there', () => {
    for (const row of TOPICS) expect(topicNamed(row.name)).to.equal(row)
    expect(() => topicNamed('lens.nothing')).to.throw(
      'unknown topic lens.nothing; one of lens.token-events, ',
    )
  })

  it('takes the append time of what windowing cuts by', () => {
    for (const name of [topics.TOKEN_EVENTS, topics.RESOURCE_SAMPLES, topics.WINDOW_SLICES]) {
      expect(topicNamed(name).timestamps).to.equal('LogAppendTime')
    }
  })

  it('keeps what design §2 says, for as long as it says', () => {
    const kept = TOPICS.map(({ name, cleanup, retentionMs }) => [
      name,
      cleanup === 'compact' ? cleanup : retentionMs / HOUR_MS,
    ])
    expect(Object.fromEntries(kept)).to.deep.equal({
      'lens.token-events': 24,
      'lens.resource-samples': 24,
      'lens.window-slices': 6,
      'lens.aggregates': 7 * 24,
      'lens.aggregates-live': 0.25,
      'lens.trigger-events': 30 * 24,
      'lens.trigger-state': 'compact',
      'lens.dead-letters': 14 * 24,
    })
  })

  it('has room for the largest record of any topic in a dead letter', () => {
    const others = TOPICS.filter(({ name }) => name !== topics.DEAD_LETTERS)
    const largest = Math.max(...others.map(({ messageBytesMax }) => messageBytesMax))
    expect(topicNamed(topics.DEAD_LETTERS).messageBytesMax).to.be.above(largest)
  })
})
