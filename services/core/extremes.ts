/** The smallest value; Infinity of none. Unlike Math.min(...values) it takes any number of them. */
export function least(values: Iterable<number>): number {
  let result = Number.POSITIVE_INFINITY
  for (const value of values) if (value < result) result = value
  return result
}

/** The largest value; -Infinity of none. */
export function greatest(values: Iterable<number>): number {
  let result = Number.NEGATIVE_INFINITY
  for (const value of values) if (value > result) result = value
  return result
}
