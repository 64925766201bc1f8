import { tableFromIPC } from 'apache-arrow'
import { toArrow, toArrowStream } from './arrow.ts'
import { tableRows } from './arrow-rows.ts'
import { type Format, rowByRow } from './format.ts'

/** What ends a stream: no further message. */
const END = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)

/** An Arrow IPC stream; each part brings its own dictionaries in place of the ones before. */
export const ARROW: Format = {
  name: 'arrow',
  extension: 'arrows',
  mediaType: 'application/vnd.apache.arrow.stream',
  isStream: true,
  isText: false,
  isTyped: true,
  isColumnar: true,
  evolution: 'by name: the schema stands in the stream',
  writer({ columns }) {
    let isBegun = false
    return {
      ...rowByRow((rows) => {
        const stream = toArrowStream(toArrow(columns, rows))
        const from = isBegun ? schemaBytes(stream) : 0
        isBegun = true
        return stream.subarray(from, stream.length - END.length)
      }),
      end: () => (isBegun ? END : toArrowStream(toArrow(columns, []))),
    }
  },
  read: ({ columns }, bytes) => tableRows(tableFromIPC(bytes), columns),
}

/** The length of the first message, which is the schema: a mark, a length, as much metadata. */
function schemaBytes(stream: Uint8Array): number {
  return 8 + new DataView(stream.buffer, stream.byteOffset).getInt32(4, true)
}
