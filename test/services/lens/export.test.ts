import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { createRangeSink, writeRange } from '../../../services/exporter/range-writer.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { FORMAT_NAMES } from '../../../services/formats/format.ts'
import { formatNamed } from '../../../services/formats/formats.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import { bytesOf, ended, give, processorOf, whole } from '../exporter/lake-log.ts'
import { T0_MS } from '../formats/records.ts'

const run = promisify(execFile)
const ROOT = new URL('../../../', import.meta.url).pathname
const HOUR_MS = 3_600_000
const REQUESTS = datasetNamed('requests')

describe('lens export and lens formats', function () {
  this.timeout(60_000)
  let folder: string

  /** Twenty requests in as many hours. */
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lens-export-'))
    const processor = processorOf()
    const log = Array.from({ length: 20 }, (_, i) =>
      ended(i, 0, { started_at: (T0_MS + i * HOUR_MS) * 1000 }),
    )
    const ranges = [...give(processor, log).effects, ...whole(processor.onDrain()).effects]
    const sink = createRangeSink(createFileStore(folder), async (...file) => bytesOf(...file))
    for (const range of ranges) await writeRange(range, sink)
  })
  after(() => rmSync(folder, { recursive: true }))

  async function lens(...argv: string[]) {
    const env = { ...process.env, LAKE_URL: folder }
    const how = { cwd: ROOT, env, encoding: 'buffer', maxBuffer: 2 ** 26 } as const
    const main = 'services/lens/main.ts'
    return run(process.execPath, [main, ...argv], how).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, said: stderr.toString() }),
      ({ code, stdout, stderr }) => ({ code, stdout, said: stderr.toString() }),
    )
  }

  const idsIn = (rows: readonly (readonly unknown[])[]) => rows.map((cells) => cells[0])

  for (const name of FORMAT_NAMES) {
    it(`writes the rows of a span of time as ${name}`, async () => {
      const [from, to] = [3, 7].map((i) => new Date(T0_MS + i * HOUR_MS).toISOString())
      const span = ['--from', from!, '--to', to!]
      const { code, stdout, said } = await lens(
        'export',
        '--dataset',
        'requests',
        '--format',
        name,
        ...span,
      )
      expect(code, said).to.equal(0)
      const rows = formatNamed(name).read(REQUESTS, new Uint8Array(stdout))
      expect(idsIn(rows)).to.deep.equal(['r-3', 'r-4', 'r-5', 'r-6'])
      expect(said).to.match(/^4 rows of requests from file:/)
    })
  }

  it('writes a file, and says why it cannot', async () => {
    const out = join(folder, 'x.csv')
    await lens('export', '--dataset', 'token_events', '--format', 'csv', '--out', out)
    expect(readFileSync(out, 'utf8').split('\r\n')).to.have.length(22)
    const { code, said } = await lens('export', '--dataset', 'requests', '--out', join(out, 'y'))
    expect(code).to.equal(1)
    expect(said).to.match(/^cannot write .*x\.csv\/y: ENOTDIR/)
  })

  it('names the file of the lake that cannot be read', async () => {
    const path = 'requests/date=2030-01-01/hour=00/lens.token-events-0-00000000000000000099.parquet'
    await createFileStore(folder).create(path, Buffer.from('no parquet'))
    const { code, said } = await lens('export', '--dataset', 'requests')
    rmSync(join(folder, path))
    expect(code).to.equal(1)
    expect(said).to.contain(`cannot read file://${folder}/${path}: `)
  })

  it('says which dataset and times there are', async () => {
    const { said } = await lens('export', '--dataset', 'x', '--from', 'yesterday')
    expect(said).to.contain('"token_events"').and.contain('"yesterday" is no time')
  })

  it('recommends a format for each need, and says why', async () => {
    const { stdout } = await lens('formats', '--json')
    const { rows, measured, recommended } = JSON.parse(stdout.toString())
    expect(rows).to.equal(20)
    expect(measured.map(({ format }: { format: string }) => format)).to.deep.equal([
      ...FORMAT_NAMES,
    ])
    const table = (await lens('formats', '--need', 'analytics')).stdout.toString()
    expect(table).to.match(/\nprotobuf +\d+ +\d+ +\d+ +\d+\n/)
    expect(table).to.match(
      /\nanalytics: (arrow|parquet): a question reads the columns that it names; /,
    )
    const needs = recommended.map(({ need }: { need: string }) => need)
    expect(needs).to.deep.equal(['debugging', 'analytics', 'streaming', 'interop'])
  })
})
