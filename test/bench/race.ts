/** Runs the same work by several sides in turn, so that a noisy minute strikes all of them. */

/** Does the work once, and says how many units it was. */
export type Work = () => number | Promise<number>

export interface RaceOptions {
  readonly runs: number
  /** A run repeats the work until so much time has passed. */
  readonly atLeastMs: number
}

const WARM_UPS = 2

/** Units a second, of each side in each run. */
export async function race<Name extends string>(
  sides: Readonly<Record<Name, Work>>,
  { runs, atLeastMs }: RaceOptions,
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const names = Object.keys(sides) as Name[]
  const perSecond = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    Name,
    number[]
  >
  for (let run = -WARM_UPS; run < runs; run++) {
    for (const name of names) {
      globalThis.gc?.()
      const rate = await timed(sides[name], atLeastMs)
      if (run >= 0) perSecond[name].push(rate)
    }
  }
  return perSecond
}

async function timed(work: Work, atLeastMs: number): Promise<number> {
  const startedMs = performance.now()
  let units = 0
  let tookMs = 0
  while (tookMs < atLeastMs) {
    units += await work()
    tookMs = performance.now() - startedMs
  }
  return (units / tookMs) * 1000
}
