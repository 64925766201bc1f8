import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { createCodec, readSchemas } from '../../services/bus/codec.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { createQueue } from '../../services/collector/queue.ts'
import { type Bench, type BenchSurroundings, type Figure, median, type Target } from './figure.ts'
import { race } from './race.ts'
import { requests } from './requests.ts'
import type { Seen } from './tap/client.ts'
import { measure, type Party, startEngine, startNginx, startNodeProxy } from './tap/parties.ts'

/** So many streams at once; at the moderate rate each has a chunk every so often. */
const CASES = [
  { streams: 1, everyMs: 2 },
  { streams: 100, everyMs: 33 },
  { streams: 1_000, everyMs: 200 },
]
/** A run's figure is the median of so many turns: what else the machine does comes in bursts. */
const TURNS = 3
const MODERATE_MS = 4_000
const FULL_MS = 3_000
const AT_LEAST_MS = 300
const PERCENTILES = { p50: '0.5', p99: '0.99', 'p99.9': '0.999' }
const TARGET_STREAMS = 100
const FULL_LOAD: Target = { of: 'value', is: 'at least', bound: 40_000 }
const ADDED_P99: Target = { of: 'value', is: 'at most', bound: 0.5 }
const PUBLISHED = 10_000
const PARTITIONS = 12

type Name = 'ours' | 'Node pipe' | 'nginx'
type Proxies = Readonly<Partial<Record<Name, Party>>>
/** One value for each run. */
type Values = Partial<Record<Name, number[]>>

/** The collector before an engine that streams, beside proxies that only pass bytes on. */
export const tap: Bench = {
  async *run(around) {
    const engine = await startEngine()
    const nginx = await startNginx(engine.port)
    if (nginx === null) around.log('nginx is left out: apt-get install nginx')
    const proxies: Proxies = {
      ours: await startNodeProxy('collector.ts', engine.port),
      'Node pipe': await startNodeProxy('pipe.ts', engine.port),
      ...(nginx && { nginx }),
    }
    const sides = { engine, proxies, around }
    try {
      for (const each of CASES) {
        yield* fullLoad(sides, each.streams)
        yield* addedLatency(sides, each)
      }
    } finally {
      for (const proxy of Object.values(proxies)) await proxy.stop()
      await engine.stop()
    }
    yield await publishing(around)
  },
}

interface Sides {
  readonly engine: Awaited<ReturnType<typeof startEngine>>
  readonly proxies: Proxies
  readonly around: BenchSurroundings
}

/** Each stream has one chunk under way at all times, so that no read holds two of them. */
async function* fullLoad({ engine, proxies, around }: Sides, streams: number) {
  const forMs = Math.max(AT_LEAST_MS, FULL_MS * around.share)
  const { controlPort } = engine
  const perCore: Values = {}
  for (let run = 0; run < around.runs; run++) {
    for (const [name, { port, pids }] of sidesOf(proxies)) {
      const seen = await measure({ port, controlPort, streams, everyMs: 0, forMs, pids })
      const { chunks, cpuSeconds, seconds } = seen
      add(perCore, name, chunks / cpuSeconds)
      around.log(`${named(streams)}, ${name}: ${Math.round(chunks / seconds)} chunks/s`)
    }
  }
  const target = streams === TARGET_STREAMS ? FULL_LOAD : undefined
  yield* besidePeers(`full load, ${named(streams)}`, 'chunks/s a core', perCore, target)
}

/** What a proxy adds to the way from the engine to the client, beside the way without it. */
async function* addedLatency(
  { engine, proxies, around }: Sides,
  { streams, everyMs }: { readonly streams: number; readonly everyMs: number },
) {
  const turns = Math.ceil(TURNS * around.share)
  const { controlPort } = engine
  const added: Record<string, Values> = { p50: {}, p99: {}, 'p99.9': {} }
  for (let run = 0; run < around.runs; run++) {
    const asked = { controlPort, streams, everyMs, forMs: MODERATE_MS, pids: [] }
    const ports = { direct: engine.port, ...portsOf(proxies) }
    const seen: Record<string, Seen[]> = {}
    for (let turn = 0; turn < turns; turn++) {
      for (const [name, port] of Object.entries(ports)) {
        seen[name] ??= []
        seen[name].push(await measure({ ...asked, port }))
      }
    }
    for (const [label, q] of Object.entries(PERCENTILES)) {
      const latencyMs = (name: string) => median(seen[name]!.map((s) => s.latencyUs[q]!)) / 1000
      for (const [name] of sidesOf(proxies)) {
        add(added[label]!, name, latencyMs(name) - latencyMs('direct'))
      }
    }
  }
  const rate = Math.round((streams / everyMs) * 1000)
  for (const [label, values] of Object.entries(added)) {
    const target = streams === TARGET_STREAMS && label === 'p99' ? ADDED_P99 : undefined
    const what = `added ${label}, ${named(streams)}, ${rate} chunks/s`
    yield* besidePeers(what, 'ms a chunk', values, target)
  }
}

/** From the record of a tap to bytes in the sink. */
async function publishing({ seed, share, runs }: BenchSurroundings): Promise<Figure> {
  const { encode } = await createCodec(createFileRegistry(readSchemas()), Date.now)
  const count = Math.ceil(PUBLISHED * share)
  const size = { seed, records: count, chunksPerRecord: 50, series: 1_000 }
  const records = requests({ ...size, startUs: Date.now() * 1000, spanUs: 1e6 })
  const sink = { append: async () => ({ baseOffset: 0, appendMs: null }), close: async () => {} }
  const perSecond = await race(
    {
      async queue() {
        const partitions = { [TOKEN_EVENTS]: PARTITIONS }
        const queue = createQueue({ sink: async () => sink, encode, partitions, log: () => {} })
        for (const record of records) queue.add(TOKEN_EVENTS, record.request_id, record)
        await queue.close()
        return queue.stats().sent
      },
      encode() {
        for (const record of records) encode(TOKEN_EVENTS, record)
        return records.length
      },
    },
    { runs, atLeastMs: 1000 * share },
  )
  return {
    what: 'queue and encode, 50 chunks a record',
    unit: 'records/s',
    values: perSecond.queue,
    peer: { name: 'encode alone', values: perSecond.encode },
  }
}

/** One figure for each peer; the target stands at the first. */
function* besidePeers(what: string, unit: string, values: Values, target?: Target) {
  const { ours, ...peers } = values
  let due = target
  for (const [name, peer] of Object.entries(peers)) {
    const figure: Figure = { what, unit, values: ours!, peer: { name, values: peer } }
    yield due ? { ...figure, target: due } : figure
    due = undefined
  }
}

function sidesOf(proxies: Proxies): readonly [Name, Party][] {
  return Object.entries(proxies) as [Name, Party][]
}

function portsOf(proxies: Proxies): Readonly<Record<string, number>> {
  return Object.fromEntries(sidesOf(proxies).map(([name, { port }]) => [name, port]))
}

function add(values: Values, name: Name, value: number): void {
  values[name] ??= []
  values[name].push(value)
}

function named(streams: number): string {
  return streams === 1 ? '1 stream' : `${streams} streams`
}
