import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TokenEvents } from '../../schemas/records.ts'
import type { EngineModel } from '../../services/engine/models.ts'
import type { TruthRecord } from '../../services/engine/truth.ts'
import type { Bench, Target } from './figure.ts'
import { startNodeProxy } from './tap/parties.ts'

const STREAMS = 200
const CHUNKS = 100_000
const ALL: Target = { of: 'value', is: 'at least', bound: 100 }
/** As of a service that has been running: later ones are stamped by compiled code. */
const WARM_UP_US = 10e6
/** As with --nice: the engine and the client, on the same processors, are the load's. */
const NICE = -10
/** Without, too; root may give what CAP_SYS_NICE gives. */
const NICES = process.getuid?.() === 0 ? [NICE, 0] : [0]
const STAMP_ERROR: Target = { of: 'value', is: 'at most', bound: 1 }
const ROOT = new URL('../../', import.meta.url).pathname

/** 200 streams of it are some 1,500 chunks a second, a third of them with several tokens. */
const MODEL: EngineModel = {
  name: 'm',
  ttftMs: { median: 50, sigma: 0.3 },
  gapMs: { median: 100, sigma: 0.3 },
  outputTokens: { median: 150, sigma: 0.3, max: 400 },
  multiTokenShare: 0.3,
  slots: STREAMS,
  waitingMax: STREAMS,
  slowdownAtFull: 0,
  kvCacheTokens: 1_000_000,
  faults: { http429: 0, http500: 0, inBandError: 0, truncated: 0 },
}

/** The collector's records beside the engine's own account of the same requests. */
export const truth: Bench = {
  async *run({ runs, share, log }) {
    const right: number[] = []
    const p99 = new Map<number, number[]>(NICES.map((nice) => [nice, []]))
    let chunks = 0
    for (let run = 0; run < runs; run++) {
      for (const [nice, found] of p99) {
        const { errors, errorsUs, ...counted } = await compare(Math.ceil(CHUNKS * share), nice)
        chunks = counted.chunks
        log(`${chunks} chunks: ${errors} wrong`)
        right.push(100 * (1 - errors / chunks))
        const late = errorsUs[Math.floor(errorsUs.length * 0.99)]
        if (late !== undefined) found.push(late / 1000)
      }
    }
    const of = `${STREAMS} streams, ${chunks} chunks`
    yield { what: `chunks with their tokens, ${of}`, unit: '%', values: right, target: ALL }
    for (const [nice, values] of p99) {
      const what = `stamp error p99, ${of}, --nice=${nice}`
      if (values.length === 0) log('no stamps: all of it was over while the collector warmed up')
      else yield { what, unit: 'ms', values, target: STAMP_ERROR }
    }
  },
}

/** What a comparison adds up. */
interface Found {
  chunks: number
  /** Chunks and ends that are not as they were sent. */
  errors: number
  /** How much later than the fastest of its request each chunk was stamped; ascending. */
  readonly errorsUs: number[]
  /** Wall clock, when the first request was sent. */
  sinceUs: number
}

/** Measures 200 streams until so many chunks have come, and compares each with what was sent. */
export async function compare(chunksMin: number, nice = 0): Promise<Found> {
  const folder = mkdtempSync(join(tmpdir(), 'lens-truth-'))
  const [models, truths, records] = ['models', 'truth', 'records'].map((name) => join(folder, name))
  writeFileSync(models!, JSON.stringify([MODEL]))
  const engine = await startEngine(['--models', models!, '--truth', truths!])
  const proxy = await startNodeProxy('collector.ts', engine.port, records)
  try {
    if (nice !== 0) for (const pid of proxy.pids) setPriority(pid, nice)
    await load(proxy.port, chunksMin)
  } finally {
    await proxy.stop()
    await engine.stop()
  }
  const measured = Map.groupBy(linesOf<TokenEvents>(records!), ({ request_id }) => request_id)
  const starts = [...measured.values()].map(([first]) => first!.started_at)
  const found: Found = { chunks: 0, errors: 0, errorsUs: [], sinceUs: Math.min(...starts) }
  for (const sent of linesOf<TruthRecord>(truths!)) {
    check(sent, measured.get(sent.request_id) ?? [], found)
  }
  found.errorsUs.sort((a, b) => a - b)
  rmSync(folder, { recursive: true })
  return found
}

/** Compares one request with what was sent. */
function check(sent: TruthRecord, records: readonly TokenEvents[], found: Found): void {
  const gaps = records.flatMap(({ gaps_us }) => gaps_us)
  const tokens = records.flatMap((record) => record.tokens)
  const { end } = records.at(-1) ?? {}
  found.chunks += sent.chunks.length
  if (end?.status !== sent.status || end.output_tokens !== sent.output_tokens) found.errors++
  if (gaps.length !== sent.chunks.length) found.errors += Math.abs(gaps.length - sent.chunks.length)
  let atUs = 0
  const delaysUs: number[] = []
  for (const [i, chunk] of sent.chunks.entries()) {
    if (tokens[i] !== chunk.tokens) found.errors++
    atUs += gaps[i] ?? 0
    delaysUs.push(atUs - chunk.at_us)
  }
  // The clocks of the two begin at different times: what the fastest chunk took is no error.
  const leastUs = Math.min(...delaysUs)
  const warmUs = found.sinceUs + WARM_UP_US - (records[0]?.started_at ?? 0)
  for (const [i, delayUs] of delaysUs.entries()) {
    if (sent.chunks[i]!.at_us > warmUs) found.errorsUs.push(delayUs - leastUs)
  }
}

function linesOf<T>(file: string): readonly T[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
}

async function startEngine(argv: readonly string[]) {
  const child = spawn(process.execPath, ['services/engine/main.ts', '--port', '0', ...argv], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const [said] = await once(child.stdout, 'data')
  return {
    port: Number(/:(\d+)\n/.exec(String(said))![1]),
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      process.off('exit', kill)
    },
  }
}

/** Keeps the streams going until so many chunks must have come. */
async function load(port: number, chunksMin: number): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  let frames = 0
  async function stream(): Promise<void> {
    while (frames < chunksMin) {
      const seen = await one(port, agent)
      frames += seen
    }
  }
  await Promise.all(Array.from({ length: STREAMS }, stream))
  agent.destroy()
}

const END = '\n\n'

/** One request; how many chunks it got. */
async function one(port: number, agent: Agent): Promise<number> {
  const body = JSON.stringify({
    model: MODEL.name,
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
    messages: [{ role: 'user', content: 'hi' }],
  })
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const options = { port, agent, method: 'POST', path: '/v1/chat/completions', headers }
  const [response] = await once(request(options).end(body), 'response')
  let events = 0
  for await (const bytes of response as AsyncIterable<Buffer>) {
    for (let at = bytes.indexOf(END); at >= 0; at = bytes.indexOf(END, at + 2)) events++
  }
  // The role, the finish reason, the usage and the end mark are no chunks.
  return events - 4
}
