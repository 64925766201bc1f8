import type { Format } from '../formats/format.ts'
import type { Measured } from './format-measure.ts'

export const NEED_NAMES = ['debugging', 'analytics', 'streaming', 'interop'] as const

export type NeedName = (typeof NEED_NAMES)[number]

type Figure = Exclude<keyof Measured, 'format' | 'readsNewer' | 'readsOlder'>

interface Need {
  readonly about: string
  /** What a format must be, and how that is said. */
  readonly must: readonly (readonly [keyof Format & `is${string}`, string])[]
  /** What of those that are decides: a figure's weight; smaller is better of sizes. */
  readonly weights: Readonly<Partial<Record<Figure, number>>>
}

/** What rows are wanted for. */
export const NEEDS: Readonly<Record<NeedName, Need>> = {
  debugging: {
    about: 'look at rows with grep, jq and an editor',
    must: [
      ['isText', 'a person can read it'],
      ['isStream', 'it can be read while it is written'],
    ],
    weights: { readRowsPerS: 1 },
  },
  analytics: {
    about: 'ask questions of many rows, again and again',
    must: [['isColumnar', 'a question reads the columns that it names']],
    weights: { bytesPerRow: 2, readRowsPerS: 1 },
  },
  streaming: {
    about: 'hand rows on as they come, fast and small',
    must: [['isStream', 'it can be read while it is written']],
    weights: { bytesPerRow: 1, writeRowsPerS: 1, readRowsPerS: 1 },
  },
  interop: {
    about: 'give rows to other programs and other languages',
    must: [
      ['isTyped', 'the types of all columns are known'],
      ['isStream', 'it can be read while it is written'],
    ],
    weights: { zstdBytesPerRow: 1, readRowsPerS: 1 },
  },
}

const SIZES: readonly Figure[] = ['bytesPerRow', 'zstdBytesPerRow']

const WORDS: Readonly<Record<Figure, (value: string) => string>> = {
  bytesPerRow: (value) => `${value} bytes a row`,
  zstdBytesPerRow: (value) => `${value} bytes a row under zstd`,
  writeRowsPerS: (value) => `written at ${value} rows/s`,
  readRowsPerS: (value) => `read at ${value} rows/s`,
}

/** The format for a need, by what was measured, and why. */
export function recommend(
  need: NeedName,
  measured: readonly Measured[],
): { readonly name: string; readonly reasons: readonly string[] } {
  const { must, weights } = NEEDS[need]
  const able = measured.filter(({ format }) => must.every(([trait]) => format[trait]))
  const figures = Object.entries(weights) as [Figure, number][]
  const scoreOf = (one: Measured): number =>
    figures.reduce((sum, [figure, weight]) => {
      return sum + weight * Math.log(one[figure]) * (SIZES.includes(figure) ? -1 : 1)
    }, 0)
  const [best, next] = able.toSorted((a, b) => scoreOf(b) - scoreOf(a)) as [Measured, Measured?]
  const compared = figures.map(([figure]) => {
    const beside = next ? ` (${next.format.name} ${next[figure].toFixed(0)})` : ''
    return WORDS[figure](best[figure].toFixed(0)) + beside
  })
  return { name: best.format.name, reasons: [...must.map(([, why]) => why), ...compared] }
}
