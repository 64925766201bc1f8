import type { Cell, Column } from './column.ts'

/** What JSON has no number for. */
const NO_NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

/** A cell as JSON; times as ISO 8601 with microseconds, what is no number as a text. */
export function cellJson({ type }: Column, cell: Cell): string {
  if (cell === null) return 'null'
  if (type === 'timestamp_us') return `"${timeText(cell as number)}"`
  if (type !== 'float64') return JSON.stringify(cell)
  if (Object.is(cell, -0)) return '-0'
  return Number.isFinite(cell) ? String(cell) : `"${cell}"`
}

/** The cell that cellJson wrote, out of what JSON.parse has made of it. */
export function cellFromJson({ type }: Column, value: unknown): Cell {
  if (typeof value !== 'string') return value as Cell
  if (type === 'timestamp_us') return timeUs(value)
  return type === 'float64' ? NO_NUMBERS[value]! : value
}

/** Microseconds since 1970 as ISO 8601 in UTC. */
function timeText(us: number): string {
  const ms = Math.floor(us / 1000)
  const rest = String(us - ms * 1000).padStart(3, '0')
  return `${new Date(ms).toISOString().slice(0, -1)}${rest}Z`
}

/** What timeText wrote, in microseconds since 1970. */
function timeUs(text: string): number {
  return Date.parse(`${text.slice(0, -4)}Z`) * 1000 + Number(text.slice(-4, -1))
}
