/** Opens streams through one proxy, and says how many chunks came and how late. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createInstants, nowUs } from './chunk.ts'

export interface Asked {
  readonly port: number
  readonly controlPort: number
  readonly streams: number
  /** Between two chunks of a stream; 0: the next chunk is sent when the last one has come. */
  readonly everyMs: number
  readonly forMs: number
  /** The processes whose CPU time is counted. */
  readonly pids: readonly number[]
}

export interface Seen {
  readonly chunks: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** By percentile: from the engine's send to the client's receipt. */
  readonly latencyUs: Readonly<Record<string, number>>
}

const CONNECTS_AT_ONCE = 100
/** Streams that have just been opened, and a client that has just started, are slower. */
const WARM_UP_MS = 1_500
const SAMPLES_MAX = 4_000_000
const TICKS_PER_SECOND = 100
const PERCENTILES = [0.5, 0.99, 0.999]

const asked = JSON.parse(process.argv[2]!) as Asked
const body = JSON.stringify({
  model: 'm',
  stream: true,
  messages: [{ role: 'user', content: 'x' }],
})
const shared = Buffer.alloc(65_536)
const samples = new Float64Array(SAMPLES_MAX)
let chunks = 0
/** Streams to be named to the engine at the end of this turn of the loop. */
let got: number[] = []
let control: Socket | null = null

process.on('disconnect', () => process.exit())
process.send!(await measure())

async function measure(): Promise<Seen> {
  control = asked.everyMs === 0 ? await opened(asked.controlPort) : null
  for (let from = 0; from < asked.streams; from += CONNECTS_AT_ONCE) {
    const count = Math.min(CONNECTS_AT_ONCE, asked.streams - from)
    await Promise.all(Array.from({ length: count }, (_, i) => openStream(from + i)))
  }
  await sleep(WARM_UP_MS)
  chunks = 0
  const startedUs = nowUs()
  const before = cpuSeconds()
  await sleep(asked.forMs)
  const cpu = cpuSeconds() - before
  const seconds = (nowUs() - startedUs) / 1e6
  const sorted = samples.subarray(0, Math.min(chunks, SAMPLES_MAX)).sort()
  const at = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
  const latencyUs = Object.fromEntries(PERCENTILES.map((q) => [String(q), at(q)]))
  return { chunks, seconds, cpuSeconds: cpu, latencyUs }
}

/** Resolves when the first chunk has come. */
async function openStream(stream: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const instants = createInstants((sentUs) => {
      samples[chunks++ % SAMPLES_MAX] = nowUs() - sentUs
      resolve()
      if (control !== null) next(stream)
    })
    const onread = {
      buffer: shared,
      callback(length: number) {
        instants(shared.subarray(0, length))
        return true
      },
    }
    const socket = connect({ port: asked.port, host: '127.0.0.1', noDelay: true, onread })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`stream ${stream} was closed`)))
    const every = asked.everyMs > 0 ? `&every_ms=${asked.everyMs}` : ''
    socket.write(
      `POST /v1/chat/completions?stream=${stream}${every} HTTP/1.1\r\nHost: engine\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
  })
}

function next(stream: number): void {
  if (got.length === 0) setImmediate(tell)
  got.push(stream)
}

function tell(): void {
  const bytes = Buffer.alloc(got.length * 2)
  got.forEach((stream, i) => {
    bytes.writeUInt16BE(stream, i * 2)
  })
  got = []
  control!.write(bytes)
}

async function opened(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return socket
}

/** User and system time of all threads: fields 14 and 15, behind the name in parentheses. */
function cpuSeconds(): number {
  const ticks = asked.pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND
}
