import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'chai'
import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { until } from '../broker/bus-under-test.ts'
import { type Cluster, openCluster } from '../broker/cluster.ts'
import { type ServiceProcess, startService } from '../broker/processes.ts'
import { stream } from '../services/collector/frames.ts'
import { chatCall } from '../services/collector/proxy-fixture.ts'
import { startUpstream, type TestUpstream } from '../services/collector/upstream.ts'
import { type FaultyStack, startFaultyStack } from './faulty-stack.ts'
import { duplicatesIn, fallsIn } from './producer-ledger.ts'

const COLLECTOR = 'collector'

/** Labels that make a record 3 kB long, so that one send takes no more than 170 of them. */
const LONG = '字'.repeat(256)
const LABELS = ['provider', 'region', 'endpoint', 'source'].flatMap((name) => [`--${name}`, LONG])
const CALLS = 900

/** One partition, so that its order is the order of the calls. */
const PARTITIONS = 1

describe('faults/producer-spool, a real collector that is killed', function () {
  this.timeout(240_000)
  let stack: FaultyStack
  let cluster: Cluster
  let upstream: TestUpstream
  let folder: string
  let collector: ServiceProcess

  before(async function () {
    this.timeout(300_000)
    folder = mkdtempSync(join(tmpdir(), 'lens-killed-'))
    stack = await startFaultyStack([COLLECTOR], () => {})
    cluster = await openCluster(stack.env, PARTITIONS)
    upstream = await startUpstream((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream(['a']))
    })
  })

  after(async () => {
    await collector?.end('SIGKILL')
    await upstream?.close()
    await cluster?.close()
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function startCollector(): Promise<void> {
    const own = ['--port', '0', '--upstream', upstream.url, '--spool', join(folder, 'spool')]
    collector = await startService(COLLECTOR, stack.envOf(COLLECTOR), [...own, ...LABELS])
  }

  const url = () => /collector: (http:\S+) ->/.exec(collector.output())![1]!

  /** Calls one after the other, from number `from` on, each named by its model. */
  function calling(from: number) {
    let next = from
    let ending = false
    async function call(): Promise<void> {
      while (!ending) {
        const body = JSON.stringify({ model: String(next), stream: true })
        const { complete } = await chatCall(url(), { body }).reply
        if (!complete) return
        next++
      }
    }
    // The last call breaks off when the collector is killed.
    const done = call().catch(() => {})
    const end = () => {
      ending = true
      return done
    }
    return { answered: () => next, end }
  }

  /** What the spool's file holds: calls that wait, and those whose send had begun. */
  function held(): { readonly waiting: number[]; readonly begun: number[] } {
    const copy = mkdtempSync(join(tmpdir(), 'lens-copy-'))
    cpSync(join(folder, 'spool'), copy, { recursive: true })
    const file = new DatabaseSync(join(copy, 'spool.sqlite'))
    const all = { waiting: [] as number[], begun: [] as number[] }
    for (const { id, begun } of file.prepare('SELECT id, begun FROM places').all()) {
      for (const { seq, value } of file.prepare(`SELECT * FROM records_${id} ORDER BY seq`).all()) {
        const list = Number(seq) <= Number(begun) ? all.begun : all.waiting
        list.push(modelIn(value as Uint8Array))
      }
    }
    file.close()
    rmSync(copy, { recursive: true, force: true })
    return all
  }

  function modelIn(value: Uint8Array): number {
    const { value: record } = cluster.codec.decoder(TOKEN_EVENTS)(value, 0)
    return Number((record as TokenEvents).model)
  }

  /** The calls in the log, in its order. */
  async function logged(): Promise<number[]> {
    const records = await cluster.readTopic<TokenEvents>(TOKEN_EVENTS)
    return records.map(({ model }) => Number(model))
  }

  const range = (from: number, length: number) => Array.from({ length }, (_, i) => from + i)
  const toKafka = () => stack.linksOf(COLLECTOR).kafka

  it('sends once and in order what its spool had when it was killed, in mid-spool and in mid-replay', async () => {
    await startCollector()
    const calls = calling(0)
    await until('it sends', async () => (await cluster.count(TOKEN_EVENTS)) > 50)
    toKafka().set('cut')
    const cutAt = calls.answered()
    await until('what came after the cut is in the spool', () => {
      return calls.answered() > cutAt + CALLS && (heldNow().waiting.at(-1) ?? 0) > cutAt + CALLS
    })
    await collector.end('SIGKILL')
    await calls.end()
    const killed = held()
    const before = await logged()
    expect(killed.begun, 'nothing was sent from the spool').deep.equal([])
    // So what is missing is one send that was under way, and the newest.
    expect(before, 'all up to the cut').deep.equal(range(0, before.length))
    expect(killed.waiting, 'all after it').deep.equal(
      range(killed.waiting[0]!, killed.waiting.length),
    )

    toKafka().set('late')
    await startCollector()
    await until('a part is sent', async () => (await cluster.count(TOKEN_EVENTS)) > before.length)
    await collector.end('SIGKILL')
    const again = held()
    expect(again.waiting.length, 'it was killed in mid-replay').greaterThan(0)

    toKafka().set('pass')
    await startCollector()
    await until('the spool is empty', () => heldNow().waiting.length === 0)
    expect(await collector.end('SIGTERM')).equal(0)

    const log = await logged()
    expect({ repeated: duplicatesIn(log), outOfOrder: fallsIn(log) }).deep.equal({
      ...{ repeated: 0, outOfOrder: 0 },
    })
    const there = new Set(log)
    const lost = killed.waiting.filter((n) => !there.has(n))
    expect(again.begun, 'only what is counted as unknown may be missing').include.members(lost)
  })

  /** As held(), while the collector writes: a copy that is torn counts as one that has nothing. */
  function heldNow(): ReturnType<typeof held> {
    try {
      return held()
    } catch {
      return { waiting: [], begun: [] }
    }
  }
})
