import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { systemClock } from '../../services/bus/clock.ts'
import { retrying } from '../../services/bus/retry.ts'
import { chat, DONE, FINISH, frame, usage } from '../services/collector/frames.ts'
import { chatCall } from '../services/collector/proxy-fixture.ts'
import { startUpstream, type TestUpstream } from '../services/collector/upstream.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { ENVIRONMENT_TIMEOUT_MS } from './environment.ts'
import { type ServiceProcess, startService } from './processes.ts'

const PARTITIONS = 4
const CALLERS = 20
const CHUNKS = 20
const CHUNK_MS = 10
const BEFORE_MS = 3_000
const AWAY_MS = 10_000
const AFTER_MS = 3_000

/** Its own broker: this one is killed. */
describe('broker/collector, whose Kafka is killed under load', function () {
  this.timeout(120_000)
  let folder: string
  let stack: Stack
  let cluster: Cluster
  let upstream: TestUpstream
  let collector: ServiceProcess

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    folder = mkdtempSync(join(tmpdir(), 'lens-away-'))
    const parts = ['kafka', 'registry'] as const
    stack = await startStack({ parts, dataFolder: join(folder, 'stack'), log: () => {} })
    cluster = await openCluster(stack.env, PARTITIONS)
    upstream = await startUpstream(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (let i = 0; i < CHUNKS; i++) {
        response.write(frame(chat({ content: `t${i}` })))
        await sleep(CHUNK_MS)
      }
      response.end(`${frame(FINISH)}${frame({ choices: [], usage: usage(CHUNKS) })}${DONE}`)
    })
    const own = ['--port', '0', '--upstream', upstream.url, '--spool', join(folder, 'spool')]
    collector = await startService('collector', stack.env, own)
  })

  after(async function () {
    this.timeout(30_000)
    await collector?.end('SIGKILL')
    await upstream?.close()
    await cluster?.close()
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('answers every call meanwhile, and has each event in the topic once afterwards', async () => {
    const [, url] = /collector: (http:\S+) ->/.exec(collector.output())!
    let calling = true
    let failed = 0
    async function caller(): Promise<void> {
      while (calling) {
        const { complete, status } = await chatCall(url!).reply
        if (!complete || status !== 200) failed++
      }
    }
    const callers = Promise.all(Array.from({ length: CALLERS }, caller))
    await sleep(BEFORE_MS)
    await stack.kill('kafka', 'SIGKILL')
    const killedAt = upstream.seen.length
    await sleep(AWAY_MS)
    const backAt = upstream.seen.length
    await stack
      .start('kafka')
      .then(() => sleep(AFTER_MS))
      .finally(() => {
        calling = false
      })
    await callers
    expect(failed, 'calls that failed').equal(0)
    expect(backAt - killedAt, 'calls while it was away').above(CALLERS)

    const ids = upstream.seen.map(({ headers }) => String(headers['x-lens-request-id']))
    const logged = await allEnded(ids.length)
    const byRequest = Map.groupBy(logged, ({ request_id }) => request_id)
    expect([...byRequest.keys()].toSorted()).deep.equal(ids.toSorted())
    for (const [id, records] of byRequest) {
      const runs = records.toSorted((a, b) => a.first_chunk - b.first_chunk)
      let chunks = 0
      for (const { first_chunk, gaps_us } of runs) {
        expect(first_chunk, id).equal(chunks)
        chunks += gaps_us.length
      }
      expect(chunks, id).equal(CHUNKS)
      expect(runs.flatMap(({ end }) => end ?? []).map(({ status }) => status)).deep.equal(['ok'])
    }
  })

  /** What is in the topic when so many requests have ended there. */
  async function allEnded(count: number): Promise<readonly TokenEvents[]> {
    const deadline = Date.now() + 60_000
    for (;;) {
      // A broker that has just come back says for a while that it is loading.
      const quiet = { clock: systemClock, log: () => {}, isStopped: () => false }
      const records = await retrying(() => cluster.readTopic<TokenEvents>(TOKEN_EVENTS), quiet)
      const ended = records.filter(({ end }) => end !== null).length
      if (ended >= count || Date.now() > deadline) return records
      await sleep(500)
    }
  }
})
