import { decodeMulti, Encoder } from '@msgpack/msgpack'
import type { Cell, Cells } from './column.ts'
import { type Format, rowByRow } from './format.ts'

/** A map for each row, one behind the other; times as integers of microseconds. */
export const MSGPACK: Format = {
  name: 'msgpack',
  extension: 'msgpack',
  mediaType: 'application/vnd.msgpack',
  isStream: true,
  isText: false,
  isTyped: false,
  isColumnar: false,
  evolution: 'by name: a reader ignores what it does not know',
  writer({ columns }) {
    const encoder = new Encoder()
    return rowByRow((rows) =>
      Buffer.concat(
        rows.map((cells) => {
          return encoder.encode(Object.fromEntries(columns.map(({ name }, i) => [name, cells[i]])))
        }),
      ),
    )
  },
  read: ({ columns }, bytes) =>
    Array.from(decodeMulti(bytes), (row): Cells => {
      return columns.map(({ name }) => (row as Record<string, Cell>)[name] ?? null)
    }),
}
