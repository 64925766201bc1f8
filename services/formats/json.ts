import { cellFromJson, cellJson } from './cell-text.ts'
import type { Cells, Column, Dataset } from './column.ts'
import { type Format, rowByRow } from './format.ts'

const EVOLUTION = 'by name: a reader ignores what it does not know'

/** One array of objects. */
export const JSON_FORMAT: Format = {
  name: 'json',
  extension: 'json',
  mediaType: 'application/json',
  isStream: false,
  isText: true,
  isTyped: false,
  isColumnar: false,
  evolution: EVOLUTION,
  writer(dataset) {
    let before = '['
    return {
      add(rows) {
        const text = rows.map((cells) => `${take()}${rowJson(dataset, cells)}`).join('')
        return Buffer.from(text)
      },
      end: () => Buffer.from(before === '[' ? '[]\n' : '\n]\n'),
    }
    function take(): string {
      const own = before
      before = ',\n'
      return own
    }
  },
  read: ({ columns }, bytes) => JSON.parse(textOf(bytes)).map(rowOf(columns)),
}

/** An object on each line. */
export const NDJSON: Format = {
  name: 'ndjson',
  extension: 'ndjson',
  mediaType: 'application/x-ndjson',
  isStream: true,
  isText: true,
  isTyped: false,
  isColumnar: false,
  evolution: EVOLUTION,
  writer: (dataset) =>
    rowByRow((rows) => Buffer.from(rows.map((cells) => `${rowJson(dataset, cells)}\n`).join(''))),
  read({ columns }, bytes) {
    const lines = textOf(bytes).split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line)).map(rowOf(columns))
  },
}

function rowJson({ columns }: Dataset, cells: Cells): string {
  const members = columns.map((column, i) => `"${column.name}":${cellJson(column, cells[i]!)}`)
  return `{${members.join(',')}}`
}

function rowOf(columns: readonly Column[]) {
  return (row: Readonly<Record<string, unknown>>): Cells => {
    return columns.map((column) => cellFromJson(column, row[column.name] ?? null))
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
