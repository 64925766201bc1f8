import { createHash } from 'node:crypto'
import { toArrow, toArrowStream } from '../../../services/formats/arrow.ts'
import { type Cells, cellsOf } from '../../../services/formats/column.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { type FileMetadata, toParquet } from '../../../services/formats/parquet.ts'
import { requestEnd, tokenEvents } from './records.ts'

const { columns, version } = datasetNamed('requests')
const MODELS = ['llama', 'größe', '模型']

/** What the sample file says of itself. */
export const SAMPLE_METADATA: FileMetadata = {
  dataset: 'requests',
  schemaVersion: version,
  topic: 'lens.token-events',
  partition: 2,
  from: 10,
  to: 910,
}

/** Rows of requests whose last offset is the largest that there can be. */
export function sampleRows(count: number): Cells[] {
  return Array.from({ length: count }, (_, i) => {
    const end = requestEnd({ ttft_us: i % 7 === 0 ? null : 1000 + i, quality: i % 3 ? [] : ['x'] })
    const record = tokenEvents({ request_id: `r-${i}`, model: MODELS[i % 3]!, end })
    const row = cellsOf(columns, { partition: 2, offset: 2 ** 53 - 1 - count + i, record })
    if ('fault' in row) throw new Error(row.fault)
    return row.cells
  })
}

/** A file of as many rows. */
export function sampleFile(count: number): Uint8Array {
  const stream = toArrowStream(toArrow(columns, sampleRows(count)))
  return toParquet(stream, columns, SAMPLE_METADATA)
}

/** The hash of the same file. */
export function sampleHash(count: number): string {
  return createHash('sha256').update(sampleFile(count)).digest('hex')
}
