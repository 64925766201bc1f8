import { fork } from 'node:child_process'
import { once } from 'node:events'
import { SLICE_MS } from '../../services/core/windows/slice.ts'
import type { Bench } from './figure.ts'
import type { Filled, Filling } from './memory-filled.ts'

const SERIES = 20_000
const WINDOW_MS = 900_000
const RUNS_MAX = 3
const GIB = 2 ** 30

/** Requests of 50 chunks that each series ends in ten seconds: 0.1 M and 15 M tokens/s in all. */
const LOADS = [
  { requests: 1, name: '0.1 M tokens/s' },
  { requests: 150, name: '15 M tokens/s' },
]

/** What a process of statistics takes when the windows of all series are full. */
export const memory: Bench = {
  async *run({ seed, runs, share, log }) {
    const series = Math.ceil(SERIES * share)
    for (const { requests, name } of LOADS) {
      const filled: Filled[] = []
      for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
        filled.push(await fill({ seed: seed + run, series, requests, untilMs: WINDOW_MS }))
        log(`${name}: ${JSON.stringify(filled.at(-1))}`)
      }
      const what = `statistics, ${series} series with full windows, ${name}`
      const slices = (series * WINDOW_MS) / SLICE_MS
      yield {
        ...{ what: `${what}: resident`, unit: 'GiB' },
        values: filled.map(({ residentBytes }) => residentBytes / GIB),
        target: { of: 'value', is: 'at most', bound: 1.5 },
      }
      yield {
        ...{ what: `${what}: highest on the way`, unit: 'GiB' },
        values: filled.map(({ highestBytes }) => highestBytes / GIB),
      }
      yield {
        ...{ what: `${what}: live`, unit: 'bytes/slice' },
        values: filled.map(({ liveBytes }) => liveBytes / slices),
      }
    }
  },
}

/** In a process that does nothing else, as statistics does. */
async function fill(filling: Filling): Promise<Filled> {
  const path = new URL('memory-filled.ts', import.meta.url).pathname
  const child = fork(path, [JSON.stringify(filling)], { execArgv: ['--expose-gc'] })
  const [filled] = (await once(child, 'message')) as [Filled]
  await once(child, 'close')
  return filled
}
