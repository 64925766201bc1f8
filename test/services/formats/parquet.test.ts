import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { wasmMemory } from 'parquet-wasm'
import { toArrow, toArrowStream } from '../../../services/formats/arrow.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { METADATA_KEY, toParquet, WRITER } from '../../../services/formats/parquet.ts'
import { PYARROW, pythonWith, runPython } from './python.ts'
import { askDuckDb } from './read-back.ts'
import { SAMPLE_METADATA, sampleFile, sampleHash, sampleRows } from './sample-file.ts'

const { columns } = datasetNamed('requests')
const SAMPLE = new URL('sample-file.ts', import.meta.url).href

/** The hash of the same file, made by a process of its own, as the second one that it makes. */
async function hashElsewhere(count: number): Promise<string> {
  const script = `const { sampleFile, sampleHash } = await import('${SAMPLE}')
    sampleFile(3)
    console.log(sampleHash(${count}))`
  const args = ['--input-type=module', '--eval', script]
  return (await promisify(execFile)(process.execPath, args)).stdout.trim()
}

describe('formats/parquet', function () {
  this.timeout(300_000)
  let folder: string
  let path: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-parquet-'))
    path = join(folder, 'requests.parquet')
    await writeFile(path, sampleFile(900))
  })
  after(() => rm(folder, { recursive: true }))

  it('gives the same bytes for the same rows, here and in another process', async () => {
    const first = sampleHash(900)
    for (let i = 0; i < 5; i++) expect(sampleHash(900)).to.equal(first)
    expect(await hashElsewhere(900)).to.equal(first)
  })

  it('says which range of which log it was made from, and by what', async () => {
    const [row] = await askDuckDb(`
      SELECT decode(value) FROM parquet_kv_metadata('${path}') WHERE key = '${METADATA_KEY}'`)
    expect(JSON.parse(row![0]!)).to.deep.equal({ ...SAMPLE_METADATA, writer: WRITER })
    const [file] = await askDuckDb(`SELECT created_by FROM parquet_file_metadata('${path}')`)
    expect(file).to.deep.equal([WRITER])
  })

  it('names the writer that package.json pins', async () => {
    const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8')
    expect(WRITER).to.contain(`parquet-wasm-${JSON.parse(text).dependencies['parquet-wasm']}`)
  })

  it('is ZSTD, with statistics by which a reader skips and still finds every row', async () => {
    const stats = await askDuckDb(`
      SELECT compression, stats_min_value, stats_max_value, stats_null_count
      FROM parquet_metadata('${path}')
      WHERE path_in_schema IN ('model', 'ttft_us', 'kafka_offset')`)
    const last = 2 ** 53 - 2
    expect(stats).to.deep.equal([
      ['ZSTD', 'größe', '模型', '0'],
      ['ZSTD', '1001', '1899', '129'],
      ['ZSTD', String(last - 899), String(last), '0'],
    ])
    const count = async (where: string): Promise<string> =>
      (await askDuckDb(`SELECT count(*) FROM read_parquet('${path}') WHERE ${where}`))[0]![0]!
    expect(await count(`kafka_offset = ${last}`)).to.equal('1')
    expect(await count(`model = '模型'`)).to.equal('300')
    expect(await count('ttft_us IS NULL')).to.equal('129')
  })

  it('has dictionaries of labels, and differences of numbers that are all different', async () => {
    const encodings = await askDuckDb(`
      SELECT path_in_schema, encodings FROM parquet_metadata('${path}')
      WHERE path_in_schema IN ('request_id', 'model', 'started_at', 'ttft_us', 'cost_usd')`)
    expect(encodings).to.deep.equal([
      ['request_id', 'PLAIN, RLE'],
      ['model', 'PLAIN, RLE, RLE_DICTIONARY'],
      ['started_at', 'RLE, DELTA_BINARY_PACKED'],
      ['ttft_us', 'RLE, DELTA_BINARY_PACKED'],
      ['cost_usd', 'PLAIN, RLE'],
    ])
  })

  it('has a page index', async () => {
    const script = `
import json, sys, pyarrow.parquet as pq
group = pq.ParquetFile(sys.argv[1]).metadata.row_group(0)
columns = [group.column(i) for i in range(group.num_columns)]
print(json.dumps([[c.has_column_index, c.has_offset_index] for c in columns]))`
    const flags = await runPython<boolean[][]>(await pythonWith([PYARROW]), script, [path])
    expect(flags).to.deep.equal(columns.map(() => [true, true]))
  })

  it('gives back the memory of the WebAssembly module', () => {
    const stream = toArrowStream(toArrow(columns, sampleRows(2000)))
    for (let i = 0; i < 5; i++) toParquet(stream, columns, SAMPLE_METADATA)
    const { byteLength } = wasmMemory().buffer
    for (let i = 0; i < 60; i++) toParquet(stream, columns, SAMPLE_METADATA)
    expect(wasmMemory().buffer.byteLength).to.equal(byteLength)
  })
})
