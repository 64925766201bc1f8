import type { Random } from '../core/random.ts'

/** A log-normal distribution, named by what people can read off a chart. */
export interface LogNormal {
  readonly median: number
  /** Standard deviation of the logarithm; 0 makes every draw the median. */
  readonly sigma: number
}

/**
 * The seed of the request with this sequence number. Each request draws from a generator of its
 * own, so that what one of them draws depends on its place alone, never on who ran beside it.
 */
export function mixSeed(seed: number, sequence: number): number {
  let bits = (seed ^ Math.imul(sequence + 1, 0x9e3779b9)) >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad)
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97)
  return (bits ^ (bits >>> 15)) >>> 0
}

/** One draw from a log-normal distribution; always takes two numbers from the generator. */
export function logNormal(random: Random, { median, sigma }: LogNormal): number {
  // 1 - u lies in (0, 1], so that the logarithm is finite.
  const radius = Math.sqrt(-2 * Math.log(1 - random()))
  return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * random()))
}
