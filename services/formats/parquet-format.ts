import { toArrow, toArrowStream } from './arrow.ts'
import { tableRows } from './arrow-rows.ts'
import type { Cells, Dataset } from './column.ts'
import { allAtOnce, type Format } from './format.ts'
import { NO_RANGE, parquetTable, toParquet } from './parquet.ts'

/** One file as the lake has them, of no range. */
export const PARQUET: Format = {
  name: 'parquet',
  extension: 'parquet',
  mediaType: 'application/vnd.apache.parquet',
  isStream: false,
  isText: false,
  isTyped: true,
  isColumnar: true,
  evolution: 'by name or field id: columns keep their ids',
  writer({ name, version, topic, columns }) {
    const metadata = { dataset: name, schemaVersion: version, topic, ...NO_RANGE }
    return allAtOnce((rows) => toParquet(toArrowStream(toArrow(columns, rows)), columns, metadata))
  },
  read: parquetRows,
}

/** The rows of a file of the lake, or of any other with some of the columns. */
export function parquetRows({ columns }: Dataset, bytes: Uint8Array): Cells[] {
  return tableRows(parquetTable(bytes), columns)
}
