import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import { systemClock } from '../../services/bus/clock.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import { retrying } from '../../services/bus/retry.ts'
import { createQueue, type Queue } from '../../services/collector/queue.ts'
import { openSpool } from '../../services/collector/spool.ts'
import { ENVIRONMENT_TIMEOUT_MS } from './environment.ts'

const TOPIC = 'spool-test'
const PARTITIONS = 4
const AWAY_MS = 20_000

/** Its own broker: this one is killed, and others need theirs. */
describe('broker/spool', function () {
  this.timeout(90_000)
  let folder: string
  let stack: Stack
  let bus: ReturnType<typeof createKafkaBus>

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    folder = mkdtempSync(join(tmpdir(), 'lens-spool-'))
    stack = await startStack({ parts: ['kafka'], dataFolder: join(folder, 'stack'), log: () => {} })
    const brokers = [stack.env.KAFKA_BROKERS!]
    bus = createKafkaBus({ brokers, clientId: 'lens-spool', log: () => {} })
    const topic = { name: TOPIC, partitions: PARTITIONS, replication: 1, settings: {} }
    await bus.createTopics([topic])
  })

  after(async function () {
    this.timeout(30_000)
    await bus?.close()
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** The numbers that a partition holds, in its order. */
  async function numbersIn(partition: number): Promise<number[]> {
    const quiet = { clock: systemClock, log: () => {}, isStopped: () => false }
    // A broker that has just come back says for a while that it is loading.
    const records = await retrying(() => bus.readAll(TOPIC, partition), quiet)
    return records.map(({ value }) => Buffer.from(value!).readUInt32BE())
  }

  function startQueue(): Queue {
    const log = () => {}
    const bytesMax = 64 << 20
    return createQueue({
      sink: () => bus.sink(),
      encode: (_, value) => {
        const bytes = Buffer.alloc(200)
        bytes.writeUInt32BE((value as { n: number }).n)
        return bytes
      },
      partitions: { [TOPIC]: PARTITIONS },
      recordsMax: 100,
      spool: openSpool({ folder: join(folder, 'spool'), bytesMax, log }),
      log,
    })
  }

  it('has each record once and in order after Kafka was away for 20 s', async () => {
    const queue = startQueue()
    let added = 0
    const adding = setInterval(() => {
      for (let i = 0; i < 5; i++) queue.add(TOPIC, `key-${added % 50}`, { n: added++ })
    }, 10)
    await sleep(2000)
    expect(queue.stats().sent).to.be.greaterThan(0)
    await stack.kill('kafka', 'SIGKILL')
    await sleep(AWAY_MS)
    const away = queue.stats()
    expect(away.queued).to.be.at.most(100)
    expect(away.spool!.records).to.be.greaterThan(added * 0.8)
    await stack.start('kafka')
    await sleep(3000)
    clearInterval(adding)
    const deadline = Date.now() + 40_000
    while (queue.stats().queued + queue.stats().spool!.records > 0 && Date.now() < deadline) {
      await sleep(100)
    }
    await queue.close()

    const { sent, unknown, dropped, queued, spool } = queue.stats()
    expect({ dropped, queued, left: spool!.records }).to.deep.equal({
      dropped: {},
      queued: 0,
      left: 0,
    })
    expect(sent + unknown).to.equal(added)
    expect(spool!.replayed).to.be.greaterThan(added * 0.5)
    const lanes = await Promise.all(Array.from({ length: PARTITIONS }, (_, p) => numbersIn(p)))
    for (const lane of lanes) expect(lane).to.deep.equal([...lane].sort((a, b) => a - b))
    const stored = lanes.flat()
    expect(new Set(stored).size).to.equal(stored.length)
    // What is missing has been called unknown, and nothing that was acknowledged is missing.
    expect(stored.length).to.be.within(sent, added)
  })
})
