import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import { openCluster } from '../broker/cluster.ts'
import { startService } from '../broker/processes.ts'
import { percentile } from '../faults/report.ts'
import { caughtUp, committed, reached } from './catch-up.ts'
import type { LoadOptions, LoadSaid } from './delay/load.ts'
import { type Delays, startWatch } from './delay/watch.ts'
import type { Bench, BenchSurroundings, Figure, Target } from './figure.ts'
import { filledCluster, type Servers, startOurs, startServers } from './kafka-bench.ts'

/**
 * Chunks a second of live traffic that both services keep up with here, the load and the broker
 * beside them; the loads are shares of it. Of a backlog they take more (`both`): it has fewer
 * ranges.
 */
const CAPACITY = Number(process.env.BENCH_CAPACITY ?? 2.4e6)
const LOADS = [0.1, 0.5, 0.8]
const TARGET_LOAD = 0.5
const PROVISIONAL: Target = { of: 'value', is: 'at most', bound: 3 }
const PARTITIONS = 4
const SERIES = 1_000
/** Records that new ranges may have added since. */
const SLACK = 64
const RUNS_MAX = 3

/** A minute's end lies in it, whenever it begins: results of windows come once a minute. */
const LOAD_MS = 95_000
const WARM_UP_MS = 20_000
const SETTLE_MS = 5_000
/** At the end, the time that the last window's results have to come while the load still runs. */
const REST_MS = 12_000
const BEHIND_MAX_MS = 120_000

/** What nothing here can go below: live results come every second, final ones wait for disorder. */
const LIVE_TICK = { name: 'live tick', values: [1] }
const DISORDER = { name: 'disorder', values: [5] }

const BACKLOG_CHUNKS = 10e6
const CHUNKS_PER_RECORD = 50

/** Every slice of 10 s, over the 15 minutes of the longest window, has records of most series. */
const RESTART = { series: 20_000, records: 90 * 20_000, chunksPerSecond: 5_000 }
const MEMORY: Target = { of: 'value', is: 'at most', bound: 1536 }

/** How old results are when they come, and how long until they come again after a stop. */
export const delay: Bench = {
  async *run(around) {
    const servers = await startServers(around.log)
    try {
      yield* resultDelays(servers, around)
      yield await catchUp(servers, around)
      yield* restart(servers, around)
    } finally {
      await servers.stop()
    }
  },
}

/** From the chunk to the results that hold it, at several loads. */
async function* resultDelays(servers: Servers, { runs, share, seed, log }: BenchSurroundings) {
  for (const load of LOADS) {
    const chunksPerSecond = CAPACITY * load * share
    const all: Delays[] = []
    for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
      const size = { seed, chunksPerSecond, series: SERIES, partitions: PARTITIONS }
      const { delays, keptUp } = await oneLoad(servers, size, log)
      const counts = `${delays.live.length} chunks, ${delays.final.length} final results`
      log(`${chunksPerSecond} chunks/s, ${Math.round(keptUp * 100)} % of them sent: ${counts}`)
      all.push(delays)
    }
    yield* delayFigures(load, all)
  }
}

function* delayFigures(load: number, all: readonly Delays[]) {
  const at = `at ${load * 100} % of capacity`
  const seconds = (kind: keyof Delays, q: number) => all.map((each) => percentile(each[kind], q))
  for (const [name, q] of Object.entries({ p50: 0.5, p99: 0.99 })) {
    const own = { unit: 's', peer: LIVE_TICK }
    const live: Figure = {
      what: `chunk to live result, ${name}, ${at}`,
      ...own,
      values: seconds('live', q),
    }
    const isTarget = load === TARGET_LOAD && name === 'p99'
    yield isTarget ? { ...live, target: PROVISIONAL } : live
    const what = `its record to live result, ${name}, ${at}`
    yield { what, ...own, values: seconds('liveAfterSend', q) }
    const final = { unit: 's', peer: DISORDER, values: seconds('final', q) }
    yield { what: `end of window to final result, ${name}, ${at}`, ...final }
  }
}

async function oneLoad(servers: Servers, size: LoadOptions, log: BenchSurroundings['log']) {
  const cluster = await openCluster(servers.env, PARTITIONS)
  const stopOurs = await startOurs(servers, cluster, ['windowing', 'statistics'])
  const watch = await startWatch(cluster)
  const { sinceMs, keptUp, stop } = await startLoad(servers, size)
  watch.begin(sinceMs, sinceMs + WARM_UP_MS, sinceMs + LOAD_MS - REST_MS)
  await sleep(sinceMs + LOAD_MS - Date.now())
  // Who is behind is waited for: the results that come in time are the young ones.
  const deadlineMs = Date.now() + BEHIND_MAX_MS
  while (watch.missing() > 0 && Date.now() < deadlineMs) await sleep(100)
  if (watch.missing() > 0) log(`not in time: ${watch.missing()}, which count with their age now`)
  const delays = watch.take()
  await stop()
  await watch.close()
  await stopOurs()
  await cluster.close()
  return { delays, keptUp: keptUp() }
}

async function startLoad({ env }: Servers, size: LoadOptions) {
  const path = new URL('delay/load.ts', import.meta.url).pathname
  const options = { env: { ...process.env, ...env } }
  const child: ChildProcess = fork(path, [JSON.stringify(size)], options)
  let keptUp = 0
  const since = new Promise<number>((resolve, reject) => {
    child.on('message', (said: LoadSaid) => {
      if ('sinceMs' in said) resolve(said.sinceMs)
      else keptUp = said.keptUp
    })
    child.on('exit', (code) => reject(new Error(`the load ended with ${code}`)))
  })
  return {
    sinceMs: await since,
    keptUp: () => keptUp,
    async stop() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

/** From the start of both services to when nothing is left to do. */
async function catchUp(servers: Servers, around: BenchSurroundings): Promise<Figure> {
  const { seed, share, runs, log } = around
  const records = Math.ceil((BACKLOG_CHUNKS * share) / CHUNKS_PER_RECORD)
  const size = { seed, records, chunksPerRecord: CHUNKS_PER_RECORD, series: SERIES }
  const seconds: number[] = []
  for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
    const { cluster } = await filledCluster(servers, { ...size, partitions: PARTITIONS })
    const startedMs = performance.now()
    const stop = await startOurs(servers, cluster, ['windowing', 'statistics'])
    await caughtUp(cluster.admin, 'lens-windowing', TOKEN_EVENTS, 0)
    await caughtUp(cluster.admin, 'lens-statistics', WINDOW_SLICES, SLACK)
    seconds.push((performance.now() - startedMs) / 1000)
    log(
      `caught up with ${records * CHUNKS_PER_RECORD} chunks after ${seconds.at(-1)!.toFixed(1)} s`,
    )
    await stop()
    await cluster.close()
  }
  return {
    what: `catch-up of ${(BACKLOG_CHUNKS * share) / 1e6} M chunks, with the start`,
    unit: 's',
    values: seconds,
    peer: { name: 'at capacity', values: [(BACKLOG_CHUNKS * share) / CAPACITY] },
  }
}

/** From the start of statistics, with windows that are full, to its first commit. */
async function* restart(servers: Servers, around: BenchSurroundings): AsyncGenerator<Figure> {
  const { seed, share, runs, log } = around
  const { series, chunksPerSecond } = RESTART
  const records = Math.ceil(RESTART.records * share)
  const size = { seed, records, chunksPerRecord: CHUNKS_PER_RECORD, series, partitions: PARTITIONS }
  const { cluster } = await filledCluster(servers, size)
  const stopWindowing = await startOurs(servers, cluster, ['windowing'])
  let statistics = await startService('statistics', servers.env)
  await caughtUp(cluster.admin, 'lens-windowing', TOKEN_EVENTS, 0)
  await caughtUp(cluster.admin, 'lens-statistics', WINDOW_SLICES, SLACK)
  // A commit that says nothing new could not be seen.
  const load = await startLoad(servers, { ...size, chunksPerSecond })
  const seconds: number[] = []
  const mebibytes: number[] = []
  for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
    await sleep(SETTLE_MS)
    mebibytes.push(residentMebibytes(statistics.child.pid!))
    await statistics.end('SIGTERM')
    const before = await committed(cluster.admin, 'lens-statistics', WINDOW_SLICES)
    const startedMs = performance.now()
    statistics = await startService('statistics', servers.env)
    await reached(cluster.admin, 'lens-statistics', WINDOW_SLICES, before + 1)
    seconds.push((performance.now() - startedMs) / 1000)
    log(`first commit after ${seconds.at(-1)!.toFixed(1)} s, ${mebibytes.at(-1)} MiB before`)
  }
  await load.stop()
  await statistics.end('SIGTERM')
  await stopWindowing()
  await cluster.close()
  yield {
    what: `start of statistics to its first commit, ${series} series`,
    unit: 's',
    values: seconds,
  }
  const what = `memory of statistics, ${series} series, windows full`
  yield { what, unit: 'MiB', values: mebibytes, target: MEMORY }
}

/** VmRSS of a process. */
function residentMebibytes(pid: number): number {
  const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Math.round(Number(kibibytes) / 1024)
}
