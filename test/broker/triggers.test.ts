import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import { type Codec, createCodec } from '../../services/bus/codec.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import { createConfluentRegistry } from '../../services/bus/registry.ts'
import { createTopics } from '../../services/bus/topics.ts'
import { hash32 } from '../../services/core/hash.ts'
import { parseRules } from '../../services/triggers/rules-file.ts'
import { tryRules } from '../../services/triggers/try-rules.ts'
import { NOON_MS } from '../records.ts'
import { MINUTE_MS, windowEnding } from '../services/core/triggers/fixture.ts'
import { brief, CASES, ruleText, windowsOf } from '../services/triggers/cases.ts'
import { ENVIRONMENT_TIMEOUT_MS } from './environment.ts'
import { type ServiceProcess, startService } from './processes.ts'

const PARTITIONS = 2
/** Others have windows in every minute here, also behind the last of a case. */
const OWN = CASES.filter(([name, , text]) => {
  return (
    !text.includes('.') && text.length <= 16 && name !== 'is not asked before another ends later'
  )
})
const MINUTES = 18
const KILLED_AT = new Set([2, 4, 7])

/** Its own broker: the log is of these cases only. */
describe('broker/triggers', function () {
  this.timeout(240_000)
  let folder: string
  let stack: Stack
  let bus: ReturnType<typeof createKafkaBus>
  let codec: Codec
  let service: ServiceProcess | null = null

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    folder = mkdtempSync(join(tmpdir(), 'lens-triggers-'))
    const parts = ['kafka', 'registry'] as const
    stack = await startStack({ parts, dataFolder: join(folder, 'stack'), log: () => {} })
    const brokers = [stack.env.KAFKA_BROKERS!]
    bus = createKafkaBus({ brokers, clientId: 'lens-triggers', log: () => {} })
    await createTopics(bus, { partitions: PARTITIONS, replication: 1 })
    codec = await createCodec(createConfluentRegistry(stack.env.SCHEMA_REGISTRY_URL!), Date.now)
  })
  after(async function () {
    this.timeout(30_000)
    await service?.end('SIGKILL')
    await bus?.close()
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it(`fires ${OWN.length} cases as they should, killed in the midst of them`, async () => {
    const file = join(folder, 'rules.yaml')
    const text = `rules:\n${OWN.map(([, rule], i) => ruleText(rule, `case-${i}`, `m-${i}`)).join('')}`
    writeFileSync(file, text)
    const start = () => startService('triggers', stack.env, ['--rules', file])
    service = await start()
    const sink = await bus.sink()
    const logs = OWN.map(([, , windows], i) => {
      const model = `m-${i}`
      return windowsOf(windows, model).filter(({ series }) => series.model === model)
    })
    const byMinute = Map.groupBy(logs.flat(), ({ end, revision }) => end + revision * 60_000)
    const written: Aggregate[][] = Array.from({ length: PARTITIONS }, () => [])
    for (let minute = 0; minute < MINUTES; minute++) {
      const own = byMinute.get(NOON_MS + minute * MINUTE_MS) ?? []
      const placed = own.map((window) => {
        return [hash32(JSON.stringify(window.series)) % PARTITIONS, window] as const
      })
      // In each partition somebody has a window in every minute.
      const others = written.map((_, partition) => {
        return [partition, windowEnding(minute, { series: { model: 'other' } })] as const
      })
      for (const [partition, window] of [...placed, ...others]) {
        const value = codec.encode(AGGREGATES, window)
        await sink.append(AGGREGATES, partition, [{ key: JSON.stringify(window.series), value }])
        written[partition]!.push(window)
      }
      await sleep(300)
      if (!KILLED_AT.has(minute)) continue
      await service.end('SIGKILL')
      service = await start()
    }

    // What one process would have said of the whole log, from its beginning.
    const rules = parseRules(text, file)
    const wanted = written.flatMap((log) => tryRules(rules).give(log))
    const got = new Map<string, Buffer>()
    const until = Date.now() + 90_000
    while (got.size < wanted.length && Date.now() < until) {
      await sleep(500)
      for (let partition = 0; partition < PARTITIONS; partition++) {
        for (const { value } of await bus.readAll(TRIGGER_EVENTS, partition)) {
          const event = codec.decoder(TRIGGER_EVENTS)(value, 0).value as TriggerEvent
          const key = `${event.trigger_id} ${event.state}`
          const bytes = Buffer.from(value!)
          // A repeat is the same, byte for byte.
          expect((got.get(key) ?? bytes).equals(bytes), key).to.equal(true)
          got.set(key, bytes)
        }
      }
    }
    const bytesOf = (event: TriggerEvent) => codec.encode(TRIGGER_EVENTS, event)
    for (const event of wanted) {
      const key = `${event.trigger_id} ${event.state}`
      expect(got.get(key)?.equals(bytesOf(event)), key).to.equal(true)
    }
    expect(got.size).to.equal(wanted.length)
    for (const [i, [name, , windows, expected]] of OWN.entries()) {
      const own = wanted.filter(({ rule }) => rule === `case-${i}`)
      const endMs = NOON_MS + windows.length * MINUTE_MS
      const within = own.filter(({ window_end }) => window_end < endMs)
      expect(brief(within), `${name}: ${windows}`).to.equal(expected)
    }
    expect(await service.end('SIGTERM')).to.equal(0)
    service = null
  })
})
