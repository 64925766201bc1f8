/** The table for a person, and what must be known of the machine to compare two of them. */
import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { type Figure, isReached, median, ratio, spread, type Target } from './figure.ts'

export interface Machine {
  readonly at: string
  readonly commit: string
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
}

export interface Report extends Machine {
  readonly seed: number
  readonly benches: Record<string, Measured>
}

/** What one bench has found, in so many runs of such a share of its work. */
export interface Measured {
  readonly commit: string
  readonly runs: number
  readonly share: number
  /** Of a random read of memory, before the bench and after it; earlier reports are without. */
  readonly readNs?: readonly [number, number]
  readonly figures: readonly Figure[]
}

/** The figures of all benches. */
export function figuresOf({ benches }: Report): readonly Figure[] {
  return Object.values(benches).flatMap(({ figures }) => figures)
}

/** This machine, and which commit is measured on it. */
export function machine(): Machine {
  const all = cpus()
  return {
    at: new Date().toISOString(),
    commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
    node: process.version,
    cpu: all[0]!.model,
    cores: all.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
  }
}

/** The figures of one bench in rows, below their heads. */
export function tableCells(name: string, figures: readonly Figure[]): string[][] {
  return [[name, 'ours', '±', 'unit', 'peer', 'is', 'ratio', 'target', ''], ...figures.map(row)]
}

/** The figures of all benches that have a target. */
export function targetRows(report: Report): string[][] {
  return tableCells(
    'target',
    figuresOf(report).filter(({ target }) => target),
  )
}

/** Rows in columns of equal width. */
export function tableLines(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]!.length)),
  )
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}

function row(figure: Figure): string[] {
  const { what, unit, values, peer, target } = figure
  const times = ratio(figure)
  const reached = isReached(figure)
  return [
    what,
    number(median(values)),
    `${(spread(values) * 100).toFixed(0)} %`,
    unit,
    peer?.name ?? '',
    peer ? number(median(peer.values)) : '',
    times === null ? '' : `${number(times)} ×`,
    target ? targetText(target) : '',
    reached === null ? '' : reached ? 'reached' : 'MISSED',
  ]
}

function targetText({ of, is, bound }: Target): string {
  return `${is === 'at least' ? '≥' : '≤'} ${number(bound)}${of === 'ratio' ? ' ×' : ''}`
}

const STEPS = [
  [1e9, ' G'],
  [1e6, ' M'],
  [1e3, ' k'],
  [1, ''],
] as const

/** Three digits, and the thousands as a letter. */
export function number(value: number): string {
  const [size, letter] = STEPS.find(([step]) => Math.abs(value) >= step) ?? [1, '']
  return `${Number((value / size).toPrecision(3))}${letter}`
}
