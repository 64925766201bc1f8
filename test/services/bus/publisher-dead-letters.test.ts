import { expect } from 'chai'
import { DEAD_LETTERS, TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createBrokerClock } from '../../../services/bus/clock.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { type Bus, NOT_UNPACKED } from '../../../services/bus/port.ts'
import { createPublisher, type Publisher } from '../../../services/bus/publisher.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { LensError } from '../../../services/core/errors.ts'
import { partitionOf } from '../../../services/core/hash.ts'
import { NOON_MS } from '../../records.ts'
import { createRecordingBus, type RecordingBus } from './recording-bus.ts'

const PARTITIONS = 3

describe('bus/publisher, dead letters', () => {
  let codec: Codec
  let recording: RecordingBus
  let publisher: Publisher

  before(async () => {
    codec = await createCodec(createFileRegistry(readSchemas()), () => 0)
  })
  beforeEach(async () => {
    recording = await createRecordingBus(PARTITIONS)
    use(recording.bus)
  })

  function use(bus: Bus): void {
    const { clock } = recording
    const brokerClock = createBrokerClock(clock)
    publisher = createPublisher({ bus, codec, clock, brokerClock, log: () => {} })
  }

  const how = () => ({
    clock: recording.clock,
    log: () => {},
    isStopped: () => false,
  })

  const record = {
    offset: 17,
    appendMs: NOON_MS - 5,
    key: Buffer.from('k'),
    value: Buffer.of(9, 0, 255),
  }
  const bad = { topic: TOKEN_EVENTS, partition: 2, record, reason: 'bad_magic' as const }

  async function letters() {
    const decode = codec.decoder(DEAD_LETTERS)
    const all = await Promise.all([0, 1, 2].map((p) => recording.bus.readAll(DEAD_LETTERS, p)))
    return all.flatMap((rows, partition) =>
      rows.map(({ key, value }) => ({
        partition,
        key: String(key),
        ...(decode(value, 0).value as object),
      })),
    )
  }

  it('hold the record byte for byte, where it lay and why; a repeat is identical', async () => {
    await publisher.deadLetters('windowing', [bad], how())
    await publisher.deadLetters('windowing', [bad], how())
    const [first, second] = await letters()
    const detail = 'the value does not begin with the magic byte 0 and a schema id'
    const place = { topic: TOKEN_EVENTS, offset: 17, stage: 'windowing', seen_at: NOON_MS - 5 }
    expect(first).to.deep.include({ ...place, reason: 'bad_magic', detail })
    expect(first).to.deep.include({ key: Buffer.from('k'), value: Buffer.of(9, 0, 255) })
    expect(second).to.deep.equal(first)
    const [append] = recording.appends
    expect(append!.records[0]!.key).to.equal(`${TOKEN_EVENTS}-2-17`)
    expect(append!.partition).to.equal(partitionOf(`${TOKEN_EVENTS}-2-17`, PARTITIONS))
  })

  it('hold null for what was null', async () => {
    const empty = {
      ...bad,
      record: { ...record, key: null, value: null },
      reason: 'empty' as const,
    }
    await publisher.deadLetters('windowing', [empty], how())
    expect((await letters())[0]).to.deep.include({ key: null, value: null, reason: 'empty' })
  })

  it('name the offsets of a batch that was not unpacked, and hold nothing of it', async () => {
    const whole = { ...record, key: null, value: NOT_UNPACKED, batchFrom: 5 }
    const batch = { ...bad, record: whole, reason: 'batch_too_large' as const }
    await publisher.deadLetters('windowing', [batch], how())
    const detail = 'the batch of the record holds more than is unpacked; offsets 5 to 17'
    expect((await letters())[0]).to.deep.include({ offset: 17, detail, key: null, value: null })
  })

  // The look-up of the partitions is remembered; a failed one must not be.
  it('wait for a broker that is away for a moment', async () => {
    let failures = 2
    const { bus } = recording
    const partitionCounts = async (topics: readonly string[]) => {
      if (failures-- > 0) throw new LensError('broker_unavailable', 'away', { retryable: true })
      return bus.partitionCounts(topics)
    }
    use({ ...bus, partitionCounts })
    await publisher.deadLetters('windowing', [bad], how())
    expect(await letters()).to.have.length(1)
  })
})
