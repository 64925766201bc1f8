import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { TOKEN_EVENTS, TOPICS } from '../../schemas/topics.ts'
import { wholeRequest } from '../records.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { ENVIRONMENT_TIMEOUT_MS, testEnvironment } from './environment.ts'

const ROOT = new URL('../../', import.meta.url).pathname

describe('broker/lens', function () {
  this.timeout(60_000)
  let cluster: Cluster
  let env: Readonly<Record<string, string>>

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    env = (await testEnvironment()).env
    cluster = await openCluster(env, 2)
  })

  after(() => cluster?.close())

  function lens(...argv: string[]) {
    const options = { cwd: ROOT, env: { ...process.env, ...env }, encoding: 'utf8' as const }
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['services/lens/main.ts', ...argv],
      options,
    )
    return { status, stdout, stderr }
  }

  it('checks the topics, says what is missing, and creates it', async () => {
    expect(lens('topics', '--check').stdout.match(/^ok /gm)).length(TOPICS.length)
    await cluster.admin.deleteTopics({ topics: ['lens.dead-letters'] })
    const missing = lens('topics', '--check')
    expect(missing.status).equal(1)
    expect(missing.stderr).contain('topics are missing: lens.dead-letters')
    expect(lens('topics', '--partitions', '3').stdout).contain('created lens.dead-letters')
    expect(lens('topics', '--check').status).equal(0)
  })

  it('tails decoded records from the beginning, as lines and as JSON', async () => {
    const sink = await cluster.bus.sink()
    for (const partition of [0, 1]) {
      const record = wholeRequest({ request_id: `r-${partition}` })
      const value = cluster.codec.encode(TOKEN_EVENTS, record)
      await sink.append(TOKEN_EVENTS, partition, [{ key: `r-${partition}`, value }])
    }
    await sink.append(TOKEN_EVENTS, 0, [{ key: null, value: Buffer.from('no avro') }])
    await sink.close()
    const tail = ['tail', TOKEN_EVENTS, '--from', 'beginning', '--limit', '3']
    const lines = lens(...tail, '--json')
      .stdout.trim()
      .split('\n')
    const records = lines.map((line) => JSON.parse(line))
    expect(records.map(({ key }) => key)).have.members(['r-0', 'r-1', null])
    const [first] = records.filter(({ key }) => key === 'r-0')
    expect(first.value).deep.include({ model: 'm-1', gaps_us: [200_000, 20_000] })
    expect(records.filter(({ key }) => key === null)[0].value).deep.equal({ bad: 'bad_magic' })
    expect(lens(...tail).stdout).match(/lens\.token-events-0@0 r-0 \{"request_id":"r-0"/)
  })

  it('says what there is when a name is wrong', () => {
    expect(lens('tail', 'nope')).include({ status: 1 }).and.property('stderr').contain(TOKEN_EVENTS)
    expect(lens('run', 'nope').stderr).contain('one of collector, engine, exporter')
    expect(lens('nope')).include({ status: 2 })
    expect(lens('run', 'windowing', '--help').stdout).contain('--groupings')
  })
})
