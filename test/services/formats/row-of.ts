import { type Cell, cellsOf, type Dataset } from '../../../services/formats/column.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'

/** The row of a record at partition 3, offset 41, by column name. */
export function rowOf(name: string, record: object): Record<string, Cell> {
  const dataset: Dataset = datasetNamed(name)
  const row = cellsOf(dataset.columns, { partition: 3, offset: 41, record })
  if ('fault' in row) throw new Error(row.fault)
  return Object.fromEntries(dataset.columns.map((column, i) => [column.name, row.cells[i]!]))
}
