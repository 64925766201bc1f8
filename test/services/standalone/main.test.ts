import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect } from 'chai'

const ROOT = new URL('../../../', import.meta.url).pathname

describe('standalone/main', function () {
  this.timeout(60_000)
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lens-standalone-'))
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** Starts it with a lake of its own, on the bus in the process. */
  function start(...argv: string[]): { child: ChildProcess; output(): string } {
    const { KAFKA_BROKERS: _, OTEL_EXPORTER_OTLP_ENDPOINT: __, ...env } = process.env
    const child = spawn(process.execPath, ['services/standalone/main.ts', ...argv], {
      cwd: ROOT,
      env: { ...env, LAKE_URL: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (bytes: Buffer) => {
      output += bytes
    }
    child.stdout!.on('data', keep)
    child.stderr!.on('data', keep)
    return { child, output: () => output }
  }

  async function exitCode(child: ChildProcess): Promise<number | null> {
    const [code] = await once(child, 'close')
    return code as number | null
  }

  it('runs for a while, shows the table, leaves what it saw in the lake and ends by itself', async () => {
    const { child, output } = start('--duration', '12s', '--rate', '30')
    expect(await exitCode(child)).equal(0)
    expect(output()).match(/tap {8}http:\/\/127\.0\.0\.1:\d+/)
    expect(output()).contain('all requests')
    const [, sent, ok, failed, cancelled] = output()
      .match(/requests {3}(\d+) sent: (\d+) ok, (\d+) failed, (\d+) cancelled/)!
      .map(Number)
    expect(sent).greaterThan(200)
    expect(output()).contain(' published, 0 dropped, 0 unknown')
    const connection = await (await DuckDBInstance.create()).connect()
    const reader = await connection.runAndReadAll(
      `SELECT status, count(*) AS n FROM '${folder}/requests/**/*.parquet' GROUP BY status`,
    )
    const counts: Record<string, number> = Object.fromEntries(
      reader.getRowObjectsJson().map(({ status, n }) => [status, Number(n)]),
    )
    // A request that the load broke off after its last chunk has ended well for the tap.
    expect(counts.ok).within(ok!, ok! + cancelled!)
    expect((counts.error ?? 0) + (counts.truncated ?? 0)).equal(failed)
    expect(Object.values(counts).reduce((sum, n) => sum + n, 0)).equal(sent)
  })

  it('writes beside the files of an earlier run, not over them', async () => {
    await exitCode(start('--duration', '2s', '--rate', '40').child)
    await exitCode(start('--duration', '2s', '--rate', '40').child)
    const connection = await (await DuckDBInstance.create()).connect()
    const reader = await connection.runAndReadAll(
      `SELECT count(DISTINCT source) AS runs FROM '${folder}/requests/**/*.parquet'`,
    )
    expect(reader.getRowObjectsJson()).deep.equal([{ runs: '2' }])
  })

  it('says what could not be written when it drains, and ends with 1', async () => {
    writeFileSync(join(folder, 'file'), '')
    const lake = join(folder, 'file', 'lake')
    const { child, output } = start('--duration', '2s', '--rate', '40', '--lake-url', lake)
    expect(await exitCode(child)).equal(1)
    // Before it drains when an interval of the lake just ends.
    expect(output()).match(/(not all could be drained|cannot go on): cannot write/)
  })

  it('drains and ends with 0 on Ctrl-C', async () => {
    const { child, output } = start()
    while (!output().includes('running')) await new Promise((resolve) => setTimeout(resolve, 50))
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    child.kill('SIGINT')
    expect(await exitCode(child)).equal(0)
    expect(output()).contain('draining').and.contain('summary')
  })

  it('says what is wrong with its options, all at once, and ends with 1', async () => {
    const { child, output } = start('--duration', 'soon', '--partitions', '0')
    expect(await exitCode(child)).equal(1)
    expect(output()).contain('--duration (LENS_DURATION)').and.contain('--partitions')
    expect(output()).not.match(/\n {4}at /)
  })

  it('explains itself with --help', async () => {
    const { child, output } = start('--help')
    expect(await exitCode(child)).equal(0)
    expect(output()).contain('npm start -- --upstream').and.contain('--lake-url')
  })
})
