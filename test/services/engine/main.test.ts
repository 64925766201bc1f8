import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import type { TruthRecord } from '../../../services/engine/truth.ts'
import { chat, post } from './fixture.ts'

const main = join(import.meta.dirname, '../../../services/engine/main.ts')

function run(...argv: string[]): ChildProcess {
  return spawn(process.execPath, [main, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
}

describe('engine main', () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-main-'))
  after(() => rmSync(folder, { recursive: true }))

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`says where it listens, appends the truth, and ends with code 0 on ${signal}`, async () => {
      const truth = join(folder, `${signal}.ndjson`)
      const engine = run('--truth', truth, '--faultless')
      const [line] = (await once(engine.stdout!, 'data')) as [Buffer]
      const url = /^engine listens on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line.toString())![1]!
      const body = chat({ model: 'tiny-chat', max_tokens: 5 })
      await (await post({ url, truths: [] }, body)).text()
      const open = await post({ url, truths: [] }, chat({ model: 'large-chat' }))
      void open.text().catch(() => 'cut')
      engine.kill(signal)
      expect(await once(engine, 'exit')).to.deep.equal([0, null])
      const lines = readFileSync(truth, 'utf8').trimEnd().split('\n')
      const records = lines.map((one) => JSON.parse(one) as TruthRecord)
      const seen = records.map((record) => [record.status, record.finish_reason])
      expect(seen).to.deep.equal([
        ['ok', 'length'],
        ['truncated', ''],
      ])
      expect(records[0]!.output_tokens).to.equal(5)
    })
  }

  it('shows its options and examples with --help', async () => {
    const help = await text(run('--help').stdout!)
    expect(help).to.match(/examples:.*--truth.*LENS_ENGINE_PORT/s)
  })

  it('says what is wrong with its configuration and ends with code 1', async () => {
    const engine = run('--port', '70000', '--request-timeout', 'soon')
    const [complaint, [code]] = await Promise.all([text(engine.stderr!), once(engine, 'exit')])
    expect(code).to.equal(1)
    expect(complaint).to.match(/--port .*\n--request-timeout .*"soon"/)
    expect(complaint).not.to.include('    at ')
  })
})
