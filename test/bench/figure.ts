/** What a benchmark has found: figures, each beside a peer or a limit of the same run. */

export interface Figure {
  /** What was done, and with what. */
  readonly what: string
  readonly unit: string
  /** One value for each run. */
  readonly values: readonly number[]
  /** The same work by somebody else, or what nothing here can go beyond. */
  readonly peer?: { readonly name: string; readonly values: readonly number[] }
  readonly target?: Target
}

/** What must be reached: of the median, or of its ratio to the peer's. */
export interface Target {
  readonly of: 'value' | 'ratio'
  readonly is: 'at least' | 'at most'
  readonly bound: number
}

export interface Bench {
  /** Figures as they come. `share` in (0, 1] is how much of the full work is done. */
  run(around: BenchSurroundings): AsyncIterable<Figure>
}

export interface BenchSurroundings {
  readonly share: number
  readonly seed: number
  readonly runs: number
  readonly log: (line: string) => void
}

/** The value in the middle; the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2
}

/** Half the way from the lowest to the highest value, as a share of the median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values)
}

/** By which power of the sizes the costs grow: the slope of the line through their logarithms. */
export function slope(sizes: readonly number[], costs: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
  const [xs, ys] = [sizes.map(Math.log), costs.map(Math.log)]
  const [x0, y0] = [mean(xs), mean(ys)]
  return mean(xs.map((x, i) => (x - x0) * (ys[i]! - y0))) / mean(xs.map((x) => (x - x0) ** 2))
}

/** How many times the peer's median ours is; null without a peer. */
export function ratio({ values, peer }: Figure): number | null {
  return peer ? median(values) / median(peer.values) : null
}

/** Whether the target is reached; null without one. */
export function isReached(figure: Figure): boolean | null {
  if (!figure.target) return null
  const { of, is, bound } = figure.target
  const got = of === 'value' ? median(figure.values) : ratio(figure)!
  return is === 'at least' ? got >= bound : got <= bound
}
