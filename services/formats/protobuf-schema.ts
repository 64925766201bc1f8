import type { Column, ColumnType, Dataset } from './column.ts'

/** How a column stands in a message. */
interface FieldType {
  readonly type: string
  readonly isRepeated: boolean
}

const TYPES: Readonly<Record<ColumnType, FieldType>> = {
  string: { type: 'string', isRepeated: false },
  label: { type: 'string', isRepeated: false },
  int64: { type: 'int64', isRepeated: false },
  int32: { type: 'int32', isRepeated: false },
  float64: { type: 'double', isRepeated: false },
  timestamp_us: { type: 'int64', isRepeated: false },
  bool: { type: 'bool', isRepeated: false },
  int32_list: { type: 'int32', isRepeated: true },
  int64_list: { type: 'int64', isRepeated: true },
  string_list: { type: 'string', isRepeated: true },
}

const PACKAGE = 'lens.lake.v1'

/** The message of a dataset: TokenEvents of token_events. */
function messageName({ name }: Dataset): string {
  return name.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Whether its lists stand in messages of their own: none is not the same as an empty one. */
export function isWrapped({ type, nullable }: Column): boolean {
  return nullable && TYPES[type].isRepeated
}

/** The text of schemas/proto/lake.proto: a message of each dataset, numbered like its columns. */
export function protoText(datasets: readonly Dataset[]): string {
  return `// Generated from the datasets by \`npm run generate\`; do not edit.
// The rows of the lake, as lens export --format protobuf writes them: messages of one dataset, each
// behind its length as a varint. Times are microseconds since 1970, UTC. A list that may be missing
// stands in a message of its own.
syntax = "proto3";

package ${PACKAGE};

message Int32List {
  repeated int32 items = 1;
}

message Int64List {
  repeated int64 items = 1;
}

message StringList {
  repeated string items = 1;
}

${datasets.map(messageText).join('\n')}`
}

function messageText(dataset: Dataset): string {
  const fields = dataset.columns.map((column, i) => `  ${fieldText(column)} = ${i + 1};\n`)
  return `message ${messageName(dataset)} {\n${fields.join('')}}\n`
}

function fieldText(column: Column): string {
  const { type, isRepeated } = TYPES[column.type]
  if (isWrapped(column)) return `${LISTS[type]} ${column.name}`
  if (isRepeated) return `repeated ${type} ${column.name}`
  return `${column.nullable ? 'optional ' : ''}${type} ${column.name}`
}

const LISTS: Readonly<Record<string, string>> = {
  int32: 'Int32List',
  int64: 'Int64List',
  string: 'StringList',
}
