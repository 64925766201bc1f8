import { ARROW } from './arrow-format.ts'
import { CSV } from './csv.ts'
import type { Format, FormatName } from './format.ts'
import { JSON_FORMAT, NDJSON } from './json.ts'
import { MSGPACK } from './msgpack.ts'
import { PARQUET } from './parquet-format.ts'
import { PROTOBUF } from './protobuf.ts'

/** Every format that rows can leave in; a new one is a file and a row here. */
export const FORMATS: readonly Format[] = [
  JSON_FORMAT,
  NDJSON,
  CSV,
  PROTOBUF,
  MSGPACK,
  ARROW,
  PARQUET,
]

/** The format of that name. */
export function formatNamed(name: FormatName): Format {
  return FORMATS.find((format) => format.name === name)!
}
