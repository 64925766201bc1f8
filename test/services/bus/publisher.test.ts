import { expect } from 'chai'
import { AGGREGATES, RESOURCE_SAMPLES } from '../../../schemas/topics.ts'
import { createBrokerClock } from '../../../services/bus/clock.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import type { Bus, NewRecord } from '../../../services/bus/port.ts'
import { createPublisher, type Publisher } from '../../../services/bus/publisher.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { LensError } from '../../../services/core/errors.ts'
import type { Output } from '../../../services/core/processor.ts'
import { NOON_MS, resourceSample } from '../../records.ts'
import { createRecordingBus, type RecordingBus } from './recording-bus.ts'

const PARTITIONS = 3
const UNKNOWN = new LensError('send_outcome_unknown', 'no answer', { retryable: true })

/** The i-th of some samples. */
function sample(i: number, partition: number, nameLength = 4): Output {
  const value = resourceSample({ at: i, name: 'n'.repeat(nameLength) })
  return { topic: RESOURCE_SAMPLES, partition, key: `k-${i}`, value }
}

describe('bus/publisher', () => {
  let codec: Codec
  let recording: RecordingBus
  let publisher: Publisher
  let brokerClock: ReturnType<typeof createBrokerClock>
  const lines: string[] = []

  before(async () => {
    codec = await createCodec(createFileRegistry(readSchemas()), () => 0)
  })
  beforeEach(async () => {
    recording = await createRecordingBus(PARTITIONS)
    use(recording.bus)
  })

  function use(bus: Bus): void {
    const { clock } = recording
    brokerClock = createBrokerClock(clock)
    lines.length = 0
    publisher = createPublisher({ bus, codec, clock, brokerClock, log: () => {} })
  }

  const how = () => ({
    clock: recording.clock,
    log: (line: string) => void lines.push(line),
    isStopped: () => false,
  })

  /** Numbers of the samples in some records. */
  function numbers(records: readonly NewRecord[]): number[] {
    const decode = codec.decoder(RESOURCE_SAMPLES)
    return records.map(({ value }) => (decode(value, 0).value as { at: number }).at)
  }

  async function stored(partition: number): Promise<number[]> {
    const records = await recording.bus.readAll(RESOURCE_SAMPLES, partition)
    return numbers(records.map(({ key, value }) => ({ key: String(key), value: value! })))
  }

  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => null,
      (error) => error,
    )

  it('appends once per topic-partition and keeps the order within it', async () => {
    const outputs = Array.from({ length: 30 }, (_, i) => sample(i, i % 2))
    await publisher.publish(outputs, how())
    const { appends } = recording
    const places = appends.map(({ topic, partition }) => `${topic}-${partition}`)
    expect(places).to.have.members([`${RESOURCE_SAMPLES}-0`, `${RESOURCE_SAMPLES}-1`])
    expect(await stored(0)).to.deep.equal(Array.from({ length: 15 }, (_, i) => i * 2))
    expect(await stored(1)).to.deep.equal(Array.from({ length: 15 }, (_, i) => i * 2 + 1))
    expect(appends[0]!.records[0]!.key).to.equal('k-0')
  })

  it('opens its sink at the first use and closes it', async () => {
    await publisher.publish([], how())
    expect(recording.sinks).to.deep.equal({ opened: 0, closed: 0 })
    await publisher.publish([sample(1, 0)], how())
    await publisher.publish([sample(2, 0)], how())
    await publisher.close()
    expect(recording.sinks).to.deep.equal({ opened: 1, closed: 1 })
  })

  it('bounds the size of an append, in order; a larger record goes alone', async () => {
    const lengths = [400_000, 300_000, 100_000, 900_000, 10, 700_000, 700_000, 10]
    const outputs = lengths.map((length, i) => sample(i, 0, length))
    await publisher.publish(outputs, how())
    const parts = recording.appends.map(({ records }) => numbers(records))
    expect(parts).to.deep.equal([[0, 1], [2], [3], [4, 5], [6, 7]])
    for (const { records } of recording.appends) {
      const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
      expect(records.length === 1 || bytes <= 768 * 1024).to.equal(true)
    }
  })

  it('sends the same part again after an unknown outcome, and the rest once, in order', async () => {
    let failures = 2
    recording.faults.after = () => (failures-- > 0 ? UNKNOWN : null)
    const outputs = [0, 1, 2].map((i) => sample(i, 0, 500_000))
    await publisher.publish(outputs, how())
    expect(await stored(0)).to.deep.equal([0, 0, 0, 1, 2])
    expect(lines).to.have.length(2)
  })

  it('does not wait for one partition to send to another, but for all to be acknowledged', async () => {
    let stuck = true
    recording.faults.before = ({ partition }) => (partition === 0 && stuck ? UNKNOWN : null)
    let done = false
    const publishing = publisher.publish([sample(0, 0), sample(1, 1)], how()).then(() => {
      done = true
    })
    while (lines.length < 5) await new Promise((resolve) => setImmediate(resolve))
    expect(await stored(1)).to.deep.equal([1])
    expect(done).to.equal(false)
    stuck = false
    await publishing
    expect(await stored(0)).to.deep.equal([0])
  })

  it('ends with an error that a further try does not mend', async () => {
    const refused = new LensError('broker_unavailable', 'too large')
    recording.faults.before = () => refused
    expect(await failureOf(publisher.publish([sample(0, 0)], how()))).to.equal(refused)
  })

  it('opens the sink again when that failed', async () => {
    let failures = 3
    const { bus } = recording
    const sink = async () => {
      if (failures-- > 0) throw new LensError('broker_unavailable', 'away', { retryable: true })
      return bus.sink()
    }
    use({ ...bus, sink })
    await publisher.publish([sample(7, 2)], how())
    expect(await stored(2)).to.deep.equal([7])
  })

  it('learns the time of the broker from what is acknowledged', async () => {
    expect(brokerClock.nowMs()).to.equal(Number.NEGATIVE_INFINITY)
    await publisher.publish([sample(0, 0)], how())
    recording.clock.advance(1_500)
    expect(brokerClock.nowMs()).to.equal(NOON_MS + 1_500)
  })

  it('encodes before it sends: a value that does not fit sends nothing', async () => {
    const outputs = [sample(0, 0), { ...sample(1, 0), topic: AGGREGATES }]
    expect(await failureOf(publisher.publish(outputs, how()))).to.be.an('error')
    expect(recording.appends).to.deep.equal([])
  })
})
