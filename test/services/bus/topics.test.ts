import { expect } from 'chai'
import { TOPICS, topicNamed } from '../../../schemas/topics.ts'
import { createMemoryBus } from '../../../services/bus/memory.ts'
import { createTopics, requireTopics, topicSpec } from '../../../services/bus/topics.ts'
import { createHandClock } from '../../pipeline/harness.ts'

const LAYOUT = { partitions: 3, replication: 2 }

describe('bus/topics', () => {
  const names = TOPICS.map((topic) => topic.name)
  const emptyBus = () => createMemoryBus({ clock: createHandClock(0), automatic: false })

  it('turns a row of the table into a request', () => {
    expect(topicSpec(topicNamed('lens.token-events'), LAYOUT)).to.deep.equal({
      name: 'lens.token-events',
      partitions: 3,
      replication: 2,
      settings: {
        'cleanup.policy': 'delete',
        'message.timestamp.type': 'LogAppendTime',
        'max.message.bytes': '4194304',
        'retention.ms': '86400000',
      },
    })
    expect(topicSpec(topicNamed('lens.trigger-state'), LAYOUT).settings).to.deep.equal({
      'cleanup.policy': 'compact',
      'message.timestamp.type': 'CreateTime',
      'message.timestamp.after.max.ms': '9223372036854775807',
      'max.message.bytes': '4194304',
    })
  })

  it('gives the broker time to every topic whose records cut or close something', () => {
    const stamped = TOPICS.filter((topic) => topic.timestamps === 'LogAppendTime')
    const stages = ['token-events', 'resource-samples', 'window-slices', 'aggregates']
    expect(stamped.map(({ name }) => name)).to.include.members(stages.map((name) => `lens.${name}`))
  })

  it('has room in a dead letter for the largest record of every other topic', () => {
    const { messageBytesMax } = topicNamed('lens.dead-letters')
    for (const topic of TOPICS.filter(({ name }) => name !== 'lens.dead-letters')) {
      expect(topic.messageBytesMax, topic.name).to.be.lessThan(messageBytesMax)
    }
  })

  it('creates what is missing, says what that was, and changes nothing that is there', async () => {
    const bus = emptyBus()
    await bus.createTopics([{ ...topicSpec(TOPICS[0]!, LAYOUT), partitions: 7 }])
    expect(await createTopics(bus, LAYOUT)).to.deep.equal(names.slice(1))
    expect(await createTopics(bus, LAYOUT)).to.deep.equal([])
    const counts = await bus.partitionCounts([...names, 'other'])
    const expected = names.map((name, i) => [name, i === 0 ? 7 : 3])
    expect(counts).to.deep.equal(Object.fromEntries(expected))
  })

  it('refuses to go on without a topic, names it and the command that makes it', async () => {
    const bus = emptyBus()
    await createTopics(bus, LAYOUT)
    await requireTopics(bus)
    const partial = emptyBus()
    await partial.createTopics(TOPICS.slice(2).map((topic) => topicSpec(topic, LAYOUT)))
    const error = await requireTopics(partial).catch((fault) => fault)
    expect(error).to.include({ code: 'topic_missing', retryable: false })
    expect(error.message).to.contain(names[0]!).and.contain(names[1]!).and.not.contain(names[2]!)
    expect(error.message).to.contain('npm run lens -- topics')
  })
})
