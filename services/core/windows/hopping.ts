import { SLICE_MS } from './slice.ts'

/** Window sizes and how far they advance. */
export interface WindowPlan {
  readonly sizesMs: readonly number[]
  /** A multiple of the slice; every size is a multiple of it. */
  readonly hopMs: number
}

/** 1, 5 and 15 minutes, advancing by one minute. */
export const DEFAULT_WINDOWS: WindowPlan = { sizesMs: [60_000, 300_000, 900_000], hopMs: 60_000 }

/** The first window end after the instant `ms`; windows are half-open, so one at it is not. */
export function firstEndAfter(plan: WindowPlan, ms: number): number {
  return (Math.floor(ms / plan.hopMs) + 1) * plan.hopMs
}

/** The end of the last window of any size that holds a slice: after it the slice is of no use. */
export function lastUse(plan: WindowPlan, sliceMs: number): number {
  return firstEndAfter(plan, sliceMs) + Math.max(...plan.sizesMs) - plan.hopMs
}

/** Why the plan cannot be, or null: sizes and hop must be whole slices, sizes whole hops. */
export function windowPlanFault(plan: WindowPlan): string | null {
  if (plan.hopMs <= 0 || plan.hopMs % SLICE_MS !== 0) {
    return `the hop of ${plan.hopMs} ms is not a multiple of the slice of ${SLICE_MS} ms`
  }
  const bad = plan.sizesMs.find((size) => size <= 0 || size % plan.hopMs !== 0)
  return bad === undefined ? null : `the size of ${bad} ms is not a multiple of the hop`
}
