import { parse } from 'csv-parse/sync'
import { cellFromJson, cellJson } from './cell-text.ts'
import type { Cell, Cells, Column } from './column.ts'
import type { Format } from './format.ts'

/** RFC 4180 with a header. Null is nothing, an empty text is quoted; a list is its JSON. */
export const CSV: Format = {
  name: 'csv',
  extension: 'csv',
  mediaType: 'text/csv',
  isStream: true,
  isText: true,
  isTyped: false,
  isColumnar: false,
  evolution: 'by the header, if the reader goes by it',
  writer({ columns }) {
    const header = columns.map(({ name }) => name).join(',')
    let before = `${header}\r\n`
    return {
      add(rows) {
        const lines = rows.map((cells) => `${columns.map(cellIn(cells)).join(',')}\r\n`)
        return Buffer.from(take() + lines.join(''))
      },
      end: () => Buffer.from(take()),
    }
    function take(): string {
      const own = before
      before = ''
      return own
    }
  },
  read({ columns }, bytes) {
    // Only of a text in quotes is an empty one a text.
    const cast = (text: string, { quoting }: { quoting: boolean }) =>
      text === '' && !quoting ? null : text
    const [header, ...rows] = parse(bytes, { cast, relaxColumnCount: false }) as (string | null)[][]
    const places = columns.map(({ name }) => header!.indexOf(name))
    return rows.map(
      (row): Cells => columns.map((column, i) => cellOf(column, row[places[i]!] ?? null)),
    )
  },
}

function cellIn(cells: Cells) {
  return (column: Column, i: number): string => cellText(column, cells[i]!)
}

function cellText(column: Column, cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell === 'string') return quoted(cell)
  const json = cellJson(column, cell)
  // A time, or what is no number, needs no quotes.
  if (json.startsWith('"')) return json.slice(1, -1)
  return json.startsWith('[') ? quoted(json) : json
}

function quoted(text: string): string {
  return /^$|[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function cellOf(column: Column, text: string | null): Cell {
  if (text === null) return null
  const { type } = column
  if (type === 'string' || type === 'label') return text
  if (type === 'timestamp_us') return cellFromJson(column, text)
  if (type === 'float64') return Number(text)
  return JSON.parse(text)
}
