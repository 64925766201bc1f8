/** The examples of docs/, run as their first lines say. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { pickPorts } from '../../infra/local/ports.ts'
import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { stream } from '../services/collector/frames.ts'
import { startUpstream, type TestUpstream } from '../services/collector/upstream.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { ENVIRONMENT_TIMEOUT_MS, testEnvironment } from './environment.ts'
import { startService } from './processes.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const run = promisify(execFile)

describe('broker/examples', function () {
  this.timeout(60_000)
  let cluster: Cluster
  let upstream: TestUpstream
  let env: Readonly<Record<string, string>>

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    env = (await testEnvironment()).env
    cluster = await openCluster(env, 2)
    upstream = await startUpstream((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(stream(['It ', 'scatters', '.'], 4))
    })
  })
  after(async () => {
    await upstream?.close()
    await cluster?.close()
  })

  const records = () => cluster.readTopic<TokenEvents>(TOKEN_EVENTS)

  const examples = [
    { name: 'fetch', shows: '"scatters"', labels: { endpoint: 'pool-a', model: 'llama' } },
    { name: 'openai', shows: 'It scatters.', labels: { provider: 'openai', model: 'llama' } },
    { name: 'observe', shows: '[ 6766, 318 ]', labels: { endpoint: 'in-process', model: 'mine' } },
  ]
  for (const { name, shows, labels } of examples) {
    it(`${name}.ts works, and its call is in the topic once`, async () => {
      const seen = new Set((await records()).map(({ request_id }) => request_id))
      const options = { cwd: ROOT, env: { ...process.env, ...env, UPSTREAM: upstream.url } }
      const { stdout } = await run(process.execPath, [`docs/examples/${name}.ts`], options)
      expect(stdout).contain(shows)
      expect(stdout).contain('sent: 1,').and.contain('unknown: 0')
      const fresh = (await records()).filter(({ request_id }) => !seen.has(request_id))
      expect(fresh).length(1)
      expect(fresh[0]).deep.include(labels)
      expect(fresh[0]!.end).include({ status: 'ok', chunks: 3 })
    })
  }

  it('ingest.py works, and its request is in the topic once', async () => {
    const [port] = await pickPorts(1)
    const argv = ['--ingest-port', String(port), '--port', '0', '--flush-every', '5ms']
    const collector = await startService('collector', env, argv)
    const before = (await records()).length
    const INGEST = `http://127.0.0.1:${port}`
    const options = { cwd: ROOT, env: { ...process.env, INGEST } }
    const { stdout } = await run('python3', ['docs/examples/ingest.py'], options)
    expect(stdout).contain('It scatters.{"accepted":1}')
    expect(await collector.end('SIGTERM')).equal(0)
    const all = await records()
    expect(all).length(before + 1)
    const record = all.find(({ provider }) => provider === 'python')!
    expect(record.gaps_us).length(3)
    expect(record.end).include({ status: 'ok', chunks: 3, ttft_us: record.gaps_us[0]! })
  })

  it('say what is missing', async () => {
    const options = { cwd: ROOT, env: { ...process.env, KAFKA_BROKERS: '' } }
    const told = await run(process.execPath, ['docs/examples/observe.ts'], options).catch(String)
    expect(told).contain('kafkaBrokers is empty')
  })
})
