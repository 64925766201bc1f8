import { mkdtempSync, rmSync } from 'node:fs'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { pickPorts } from '../../infra/local/ports.ts'
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
/** More than between two looks of the collector at its own counts. */
const REPORT_MS = 6_000
/** The collector's own deadline of a send, and some. */
const SENT_MS = 150_000

/** Its own broker: this one is killed. */
describe('broker/collector, whose Kafka is killed under load', function () {
  this.timeout(2 * SENT_MS)
  let folder: string
  let stack: Stack
  let cluster: Cluster
  let upstream: TestUpstream
  let collector: ServiceProcess
  let page: string

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
    const spool = ['--spool', join(folder, 'spool')]
    const own = ['--port', '0', '--upstream', upstream.url, '--nice', '1', ...spool]
    const [port] = await pickPorts(1)
    page = `http://127.0.0.1:${port}/metrics`
    const telemetry = {
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.1',
      OTEL_EXPORTER_PROMETHEUS_PORT: String(port),
    }
    collector = await startService('collector', { ...stack.env, ...telemetry }, own)
  })

  after(async function () {
    this.timeout(30_000)
    await collector?.end('SIGKILL')
    await upstream?.close()
    await cluster?.close()
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('answers every call meanwhile, and has each of their records once', async () => {
    expect(getPriority(collector.child.pid!)).equal(1)
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

    const { sent, unknown } = await settled()
    // What was under way when the broker was killed has been sent again, with its numbers.
    expect(unknown, 'records of which nobody knows').equal(0)
    const quiet = { clock: systemClock, log: () => {}, isStopped: () => false }
    const logged = await retrying(() => cluster.readTopic<TokenEvents>(TOKEN_EVENTS), quiet)
    expect(logged.length).equal(sent)
    const places = logged.map(({ request_id, first_chunk }) => `${request_id} ${first_chunk}`)
    expect(new Set(places).size, 'none is there twice').equal(logged.length)

    const asked = upstream.seen.map(({ headers }) => String(headers['x-lens-request-id']))
    const byRequest = Map.groupBy(logged, ({ request_id }) => request_id)
    const torn = asked.filter((id) => !isWhole(byRequest.get(id) ?? []))
    expect(torn, 'calls that are not whole').deep.equal([])
  })

  /** The collector's own counts, once nothing waits in it any more. */
  async function settled(): Promise<{ readonly sent: number; readonly unknown: number }> {
    const deadline = Date.now() + SENT_MS
    let before = ''
    for (;;) {
      const text = await (await fetch(page)).text()
      const of = (name: string) =>
        Number(new RegExp(`name="${name}"[^}]*} (\\d+)`).exec(text)?.[1] ?? 0)
      const counts = { sent: of('sent'), unknown: of('unknown') }
      const isEmpty = of('queued') + of('spool_records') === 0
      if (isEmpty && JSON.stringify(counts) === before) return counts
      if (Date.now() > deadline) throw new Error(`it has not sent all:\n${text}`)
      before = isEmpty ? JSON.stringify(counts) : ''
      await sleep(REPORT_MS)
    }
  }
})

/** Whether the records of a call have all its chunks and its one end. */
function isWhole(records: readonly TokenEvents[]): boolean {
  const runs = records.toSorted((a, b) => a.first_chunk - b.first_chunk)
  let chunks = 0
  for (const { first_chunk, gaps_us } of runs) {
    if (first_chunk !== chunks) return false
    chunks += gaps_us.length
  }
  const ends = runs.flatMap(({ end }) => end ?? [])
  return chunks === CHUNKS && ends.length === 1 && ends[0]!.status === 'ok'
}
