/** The formats that are not Parquet, read by others: DuckDB, pyarrow, msgpack, protobuf. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { LAKE_PROTO } from '../../../infra/generate/proto.ts'
import type { Cells } from '../../../services/formats/column.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import type { FormatName } from '../../../services/formats/format.ts'
import { formatNamed } from '../../../services/formats/formats.ts'
import { GRPC_TOOLS, MSGPACK, PYARROW, pythonWith, runPython } from './python.ts'
import { askDuckDb } from './read-back.ts'
import { sampleRows } from './sample-file.ts'

const REQUESTS = datasetNamed('requests')
const ROWS = 900
/** A text, a time, 64 bits, one that may be null, a list. */
const NAMES = ['model', 'started_at', 'kafka_offset', 'ttft_us', 'quality'] as const

const READERS = `
import importlib, json, os, subprocess, sys
kind, path, proto = sys.argv[1:]
names = ${JSON.stringify(NAMES)}
def arrow():
    import pyarrow as pa
    with pa.ipc.open_stream(path) as reader: table = reader.read_all()
    table.validate(full=True)
    times = table['started_at'].cast(pa.int64()).to_pylist()
    columns = [times if n == 'started_at' else table[n].to_pylist() for n in names]
    return [list(row) for row in zip(*columns)]
def msgpack():
    import msgpack
    with open(path, 'rb') as file:
        return [[row[n] for n in names] for row in msgpack.Unpacker(file)]
def protobuf():
    from google.protobuf.internal.decoder import _DecodeVarint32
    folder = os.path.dirname(path)
    here = os.path.dirname(proto)
    subprocess.run([sys.executable, '-m', 'grpc_tools.protoc', '-I' + here,
                    '--python_out=' + folder, proto], check=True)
    sys.path.insert(0, folder)
    Requests = importlib.import_module('lake_pb2').Requests
    data, at, rows = open(path, 'rb').read(), 0, []
    while at < len(data):
        size, at = _DecodeVarint32(data, at)
        m = Requests.FromString(data[at:at + size])
        at += size
        ttft = m.ttft_us if m.HasField('ttft_us') else None
        rows.append([m.model, m.started_at, m.kafka_offset, ttft, list(m.quality)])
    return rows
print(json.dumps({'arrow': arrow, 'msgpack': msgpack, 'protobuf': protobuf}[kind]()))
`

describe('formats: other readers of what is no Parquet', function () {
  this.timeout(300_000)
  let folder: string
  const rows = sampleRows(ROWS)
  const expected = rows.map((cells) => NAMES.map((name) => cellNamed(cells, name)))

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-formats-'))
  })
  after(() => rm(folder, { recursive: true }))

  function cellNamed(cells: Cells, name: string) {
    return cells[REQUESTS.columns.findIndex((column) => column.name === name)]!
  }

  /** A file that was written in three parts. */
  async function fileOf(name: FormatName): Promise<string> {
    const { extension, writer } = formatNamed(name)
    const own = writer(REQUESTS)
    const parts = [0, 300, 600].map((from) => own.add(rows.slice(from, from + 300)))
    const path = join(folder, `requests.${extension}`)
    await writeFile(path, Buffer.concat([...parts, own.end()]))
    return path
  }

  const READS: Readonly<Partial<Record<FormatName, string>>> = {
    json: 'read_json_auto',
    ndjson: 'read_json_auto',
    csv: 'read_csv',
  }
  for (const [name, read] of Object.entries(READS)) {
    it(`lets DuckDB read ${name}`, async () => {
      const path = await fileOf(name as FormatName)
      const own = ['model', 'epoch_us(started_at::TIMESTAMPTZ)', 'kafka_offset', 'ttft_us']
      const sql = `SELECT ${own}, quality FROM ${read}('${path}')`
      const got = await askDuckDb(sql)
      const texts = expected.map(([model, at, offset, ttft, quality]) => {
        const list = (quality as string[]).map((text) =>
          name === 'csv' ? `"${text}"` : `'${text}'`,
        )
        return [model, at, offset, ttft].map(String).concat(`[${list.join(', ')}]`)
      })
      expect(got).to.deep.equal(texts)
    })
  }

  const PYTHON = { arrow: [PYARROW], msgpack: [MSGPACK], protobuf: [GRPC_TOOLS] } as const
  for (const [name, packages] of Object.entries(PYTHON)) {
    it(`lets Python read ${name}`, async () => {
      const path = await fileOf(name as FormatName)
      const python = await pythonWith(packages)
      const got = await runPython<Cells[]>(python, READERS, [name, path, LAKE_PROTO.pathname])
      expect(got).to.deep.equal(expected)
    })
  }
})
