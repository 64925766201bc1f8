import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { expect } from 'chai'
import type { Listening } from '../../../services/bus/listen.ts'
import { startArrowServer } from '../../../services/exporter/arrow-server.ts'
import { createRangeSink, writeRange } from '../../../services/exporter/range-writer.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import type { ObjectStore } from '../../../services/lake/store.ts'
import { PYARROW, pythonWith, runPython } from '../formats/python.ts'
import { T0_MS } from '../formats/records.ts'
import { bytesOf, ended, give, processorOf, whole } from './lake-log.ts'

const HOUR_MS = 3_600_000
const T1 = new Date(T0_MS + HOUR_MS).toISOString()

describe('exporter/arrow-server', function () {
  this.timeout(120_000)
  let folder: string
  let store: ObjectStore
  let server: Listening
  const said: string[] = []

  /** Ten requests, one every half an hour, in files of four. */
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-arrow-'))
    store = createFileStore(folder)
    const processor = processorOf({ rowsMax: 4 })
    const log = Array.from({ length: 10 }, (_, i) =>
      ended(i, 0, { started_at: (T0_MS + (i * HOUR_MS) / 2) * 1000 }),
    )
    const ranges = [...give(processor, log).effects, ...whole(processor.onDrain()).effects]
    const sink = createRangeSink(store, async (...file) => bytesOf(...file))
    for (const range of ranges) await writeRange(range, sink)
    server = await startArrowServer(store, { host: '127.0.0.1', port: 0 }, (line) =>
      said.push(line),
    )
  })
  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })

  async function offsets(query: string): Promise<number[]> {
    const response = await fetch(`${server.url}/v1/arrow/requests${query}`)
    expect(response.headers.get('content-type')).to.equal('application/vnd.apache.arrow.stream')
    const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()))
    return Array.from(table.getChild('kafka_offset')!, Number).sort((a, b) => a - b)
  }

  it('gives the rows of a dataset in a span of time', async () => {
    expect(await offsets('')).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await offsets(`?from=${T1}`)).to.deep.equal([2, 3, 4, 5, 6, 7, 8, 9])
    expect(await offsets(`?to=${T1}`)).to.deep.equal([0, 1])
    expect(await offsets('?to=2020-01-01T00:00:00Z')).to.deep.equal([])
  })

  it('is read by pyarrow, as a notebook would', async () => {
    const script = `
import json, sys, urllib.request
import pyarrow as pa
with urllib.request.urlopen(sys.argv[1]) as answer:
    table = pa.ipc.open_stream(answer).read_all()
table.validate(full=True)
print(json.dumps([table.num_rows, str(table.schema.field('started_at').type),
                  sorted(table['request_id'].to_pylist())]))
`
    const url = `${server.url}/v1/arrow/token_events`
    const python = await pythonWith([PYARROW])
    const ids = Array.from({ length: 10 }, (_, i) => `r-${i}`)
    expect(await runPython(python, script, [url])).to.deep.equal([10, 'timestamp[us, tz=UTC]', ids])
  })

  it('says what it cannot answer', async () => {
    const cases = [
      ['/v1/arrow/tokens', 404, /one of token_events, requests/],
      ['/v1', 404, /ask for \/v1\/arrow\/DATASET/],
      ['/v1/arrow/requests?from=yesterday', 400, /from is no time; write 2026-/],
    ] as const
    for (const [path, status, why] of cases) {
      const response = await fetch(server.url + path)
      expect([response.status, await response.text()], path).to.satisfy(
        ([is, text]: [number, string]) => is === status && why.test(text),
      )
    }
    expect((await fetch(`${server.url}/v1/arrow/requests`, { method: 'POST' })).status).to.equal(
      405,
    )
  })

  it('ends a stream without its end when a file cannot be read, and says so', async () => {
    const path = 'requests/date=2030-01-01/hour=00/lens.token-events-0-00000000000000000099.parquet'
    await store.create(path, Buffer.from('no parquet'))
    const broken = await fetch(`${server.url}/v1/arrow/requests`)
      .then((response) => response.arrayBuffer())
      .then(
        () => 'whole',
        () => 'broken',
      )
    expect(broken).to.equal('broken')
    expect(said.join()).to.match(/v1\/arrow\/requests: /)
    expect((await fetch(`${server.url}/v1/arrow/token_events`)).status).to.equal(200)
    await rm(join(folder, path))
  })

  it('says that the lake cannot be read when nothing has been sent yet', async () => {
    const away: ObjectStore = { ...store, get: () => Promise.reject(new Error('the lake is away')) }
    const own = await startArrowServer(away, { host: '127.0.0.1', port: 0 }, () => {})
    const response = await fetch(`${own.url}/v1/arrow/requests`)
    expect([response.status, await response.text()]).to.deep.equal([502, 'the lake is away\n'])
    await own.stop()
  })

  it('answers four at a time', async () => {
    const held = Promise.withResolvers<null>()
    const slow: ObjectStore = { ...store, get: () => held.promise }
    const own = await startArrowServer(slow, { host: '127.0.0.1', port: 0 }, () => {})
    const url = `${own.url}/v1/arrow/requests`
    const five = [1, 2, 3, 4, 5].map(() => fetch(url))
    // The others wait for their file.
    const first = await Promise.race(five)
    expect(first.status).to.equal(503)
    expect(first.headers.get('retry-after')).to.equal('1')
    held.resolve(null)
    const all = await Promise.all(five)
    expect(all.map(({ status }) => status).sort()).to.deep.equal([200, 200, 200, 200, 503])
    for (const response of all) await response.arrayBuffer()
    await own.stop()
  })
})
