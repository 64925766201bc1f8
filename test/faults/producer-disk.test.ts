import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import { systemClock } from '../../services/bus/clock.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import type { Bus } from '../../services/bus/port.ts'
import { retrying } from '../../services/bus/retry.ts'
import { append, newTopic } from '../broker/bus-under-test.ts'

/** Its own broker: this one's disk is changed. */
describe('faults/producer-disk', function () {
  this.timeout(180_000)
  let folder: string
  let stack: Stack
  let bus: Bus

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lens-disk-'))
    stack = await startStack({ parts: ['kafka'], dataFolder: join(folder, 'stack'), log: () => {} })
    const brokers = [stack.env.KAFKA_BROKERS!]
    bus = createKafkaBus({ brokers, clientId: 'lens-test', log: () => {} })
  })

  after(async () => {
    await bus?.close()
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** The last of it: the key holds it too. */
  function changeOnDisk(topic: string, from: string, to: string): void {
    const place = join(folder, 'stack', 'kafka', 'log', `${topic}-0`)
    const name = readdirSync(place).find((file) => file.endsWith('.log'))!
    const bytes = readFileSync(join(place, name))
    bytes.write(to, bytes.lastIndexOf(from))
    writeFileSync(join(place, name), bytes)
  }

  // A broker checks the sum when it takes a batch, and kafkajs does not when it gets one: what
  // changes in between is read as it is. If it no longer decodes, it is a dead letter.
  it('reads what has changed on the disk of a broker as if it were right (F9)', async () => {
    const topic = await newTopic(bus, 1)
    await append(bus, topic, 0, 'first', 'second')
    await stack.kill('kafka', 'SIGTERM')
    changeOnDisk(topic, 'first', 'worst')
    await stack.start('kafka')
    const around = { clock: systemClock, log: () => {}, isStopped: () => false }
    const records = await retrying(() => bus.readAll(topic, 0), around)
    expect(records.map(({ value }) => String(value))).to.deep.equal(['worst', 'second'])
  })
})
