import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import type { DeadLetter } from '../../schemas/records.ts'
import { DEAD_LETTERS, TOKEN_EVENTS } from '../../schemas/topics.ts'
import { until } from './bus-under-test.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { ENVIRONMENT_TIMEOUT_MS, testEnvironment } from './environment.ts'
import { type ServiceProcess, startService } from './processes.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const VALUE = Buffer.from([...Buffer.from('no avro '), 0x00, 0x0a, 0xff])
/** Larger than what stages decode. */
const LARGE = Buffer.alloc(2_000_000, 'large ')
const PLACE = `${TOKEN_EVENTS}-1-0`

describe('broker/lens-dead-letters', function () {
  this.timeout(60_000)
  let cluster: Cluster
  let env: Readonly<Record<string, string>>
  let windowing: ServiceProcess

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    ;({ env } = await testEnvironment())
    cluster = await openCluster(env, 2)
    windowing = await startService('windowing', env)
    const sink = await cluster.bus.sink()
    await sink.append(TOKEN_EVENTS, 1, [{ key: 'k', value: VALUE }])
    await sink.append(TOKEN_EVENTS, 0, [{ key: null, value: LARGE }])
    await sink.close()
    await letters(2)
  })
  after(async () => {
    await windowing?.end('SIGTERM')
    await cluster?.close()
  })

  function lens(...argv: string[]) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['services/lens/main.ts', 'dead-letters', ...argv],
      { cwd: ROOT, env: { ...process.env, ...env }, maxBuffer: 16 * 1024 * 1024 },
    )
    return { status, bytes: stdout, stdout: String(stdout), stderr: String(stderr) }
  }

  async function letters(count: number): Promise<readonly DeadLetter[]> {
    await until(`${count} dead letters`, async () => (await cluster.count(DEAD_LETTERS)) >= count)
    return cluster.readTopic<DeadLetter>(DEAD_LETTERS)
  }

  it('lists what windowing refused', () => {
    const { status, stdout, stderr } = lens('list')
    expect({ status, stderr }).deep.equal({ status: 0, stderr: '' })
    expect(stdout).match(/^lens\.token-events-1-0 +windowing +bad_magic +\d{4}-.*Z +11$/m)
    expect(stdout).match(/^lens\.token-events-0-0 +windowing +bad_magic +\d{4}-.*Z +2000000$/m)
    expect(stdout).match(/\n\nbad_magic {2}2\n\ndead letters: 2\n$/)
  })

  it('shows one, and writes its bytes', () => {
    expect(lens('show', PLACE).stdout).contain('6e 6f 20 61 76 72 6f 20 00 0a ff')
    expect(lens('show', PLACE, '--raw').bytes.equals(VALUE)).equal(true)
    expect(lens('show', `${TOKEN_EVENTS}-0-0`, '--raw').bytes.equals(LARGE)).equal(true)
    expect(lens('show', `${TOKEN_EVENTS}-1-1`)).include({ status: 1 })
  })

  it('sends nothing without --yes', async () => {
    expect(lens('replay', '--all').stdout).contain('nothing was sent')
    expect(await cluster.count(TOKEN_EVENTS)).equal(2)
  })

  it('sends all back; what is still bad comes again as new dead letters', async () => {
    const { status, stdout } = lens('replay', '--yes', '--topic', TOKEN_EVENTS)
    expect(stdout).contain(`sent ${PLACE} (bad_magic, 12 bytes) as ${TOKEN_EVENTS}-1-1\n`)
    expect(status).equal(0)
    const all = await letters(4)
    const again = all.filter(({ offset }) => offset === 1)
    const bytes = again.map(({ partition, key, value }) => [partition, key, value])
    expect(bytes).have.deep.members([
      [0, null, LARGE],
      [1, Buffer.from('k'), VALUE],
    ])
    expect(lens('list').stdout).contain('dead letters: 4\n')
  })

  it('ends with 1 when a record is not there', () => {
    const { status, stdout } = lens('replay', `${TOKEN_EVENTS}-1-77`, '--yes')
    expect(status).equal(1)
    expect(stdout).contain(`there is no dead letter of ${TOKEN_EVENTS}-1-77`)
  })
})
