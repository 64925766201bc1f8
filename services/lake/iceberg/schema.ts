import { elementId, fieldId } from '../../formats/arrow-column.ts'
import type { Column, ColumnType, Dataset } from '../../formats/column.ts'

/** A table's schema as Iceberg's JSON has it; ids are those of the columns of our files. */
export interface IcebergSchema {
  readonly type: 'struct'
  readonly fields: readonly IcebergField[]
}

interface IcebergField {
  readonly id: number
  readonly name: string
  readonly required: boolean
  readonly type: IcebergType
}

type IcebergType =
  | string
  | {
      readonly type: 'list'
      readonly 'element-id': number
      readonly 'element-required': boolean
      readonly element: string
    }

/** How a table is parted: by the hour of event time, as the folders are. */
export interface IcebergSpec {
  readonly fields: readonly {
    readonly name: string
    readonly transform: 'hour'
    readonly 'source-id': number
    readonly 'field-id': number
  }[]
}

/** The first id that Iceberg gives to a field of a partition. */
const PARTITION_ID = 1000

const TYPES: Readonly<Record<ColumnType, string>> = {
  string: 'string',
  label: 'string',
  int64: 'long',
  int32: 'int',
  float64: 'double',
  timestamp_us: 'timestamptz',
  bool: 'boolean',
  int32_list: 'int',
  int64_list: 'long',
  string_list: 'string',
}

/** The schema of a dataset's table. */
export function icebergSchema({ columns }: Dataset): IcebergSchema {
  return { type: 'struct', fields: columns.map(fieldOf) }
}

function fieldOf({ name, type, nullable }: Column, index: number): IcebergField {
  const element = TYPES[type]
  const list = {
    ...{ type: 'list' as const, 'element-id': elementId(index) },
    ...{ 'element-required': true, element },
  }
  return {
    id: fieldId(index),
    name,
    required: !nullable,
    type: type.endsWith('_list') ? list : element,
  }
}

/** The largest id of the schema. */
export function lastColumnId({ columns }: Dataset): number {
  return elementId(columns.length - 1)
}

/** How a dataset's table is parted. */
export function icebergSpec({ columns, timeColumn }: Dataset): IcebergSpec {
  const source = fieldId(columns.findIndex(({ name }) => name === timeColumn))
  const name = `${timeColumn}_hour`
  return {
    fields: [{ name, transform: 'hour', 'source-id': source, 'field-id': PARTITION_ID }],
  }
}
