/** What the OTLP endpoint has received, read from the bytes, against the aggregates. */
import type { Aggregate } from '../../schemas/records.ts'
import type { Temporality } from '../../services/exporter/otlp-stream.ts'

type Field = readonly [number: number, value: bigint | Buffer]

/** The fields of a protobuf message, as they lie in it. */
function* fieldsOf(bytes: Buffer): Iterable<Field> {
  let at = 0
  const varint = () => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    if ((tag & 7) === 0) yield [tag >> 3, varint()]
    else {
      const size = { 1: 8, 2: -1, 5: 4 }[tag & 7]!
      const length = size < 0 ? Number(varint()) : size
      const from = at
      at += length
      const part = bytes.subarray(from, at)
      yield [tag >> 3, size === 8 ? part.readBigInt64LE() : part]
    }
  }
}

/** All values at a path of field numbers. */
function valuesAt(message: Buffer, path: readonly number[]): (bigint | Buffer)[] {
  const [first, ...rest] = path
  const here = [...fieldsOf(message)].filter(([number]) => number === first)
  const values = here.map(([, value]) => value)
  return rest.length === 0 ? values : values.flatMap((value) => valuesAt(value as Buffer, rest))
}

/** The one gauge that is looked at: all of a window go out together. */
const VIEW = 'latency_lens.view.requests'

const METRIC = [1, 2, 2]
const GAUGE_POINTS = [5, 1]
const SUM_POINTS = [7, 1]
const HISTOGRAM_POINTS = [10, 1]

/** The points of a request: `metric attributes start end` and what is said of it. */
function* pointsOf(body: Buffer): Iterable<readonly [key: string, value: bigint, form: string]> {
  for (const metric of valuesAt(body, METRIC) as Buffer[]) {
    const name = String(valuesAt(metric, [1])[0])
    const kinds = [
      // A number as the bits of a double.
      ...(name === VIEW ? [{ path: GAUGE_POINTS, attributes: 7, value: 4 }] : []),
      { path: SUM_POINTS, attributes: 7, value: 6 },
      { path: HISTOGRAM_POINTS, attributes: 1, value: 4 },
    ]
    for (const { path, attributes, value } of kinds) {
      for (const point of valuesAt(metric, path) as Buffer[]) {
        const labels = (valuesAt(point, [attributes]) as Buffer[]).map((each) => {
          return `${valuesAt(each, [1])[0]}=${valuesAt(each, [2, 1])[0]}`
        })
        const [startMs, endMs] = [2, 3].map((i) => (valuesAt(point, [i])[0] as bigint) / 1_000_000n)
        const key = `${name} ${labels.sort().join()} ${startMs} ${endMs}`
        yield [key, valuesAt(point, [value])[0] as bigint, point.toString('base64')]
      }
    }
  }
}

/**
 * Each final minute of the finest grouping is there, and nothing else, by itself or in what has
 * been counted by its end, and each larger window of a view; one can be there again, identical.
 */
export function otlpFaults(
  bodies: readonly Uint8Array[],
  aggregates: readonly Aggregate[],
  temporality: Temporality,
  count: (repeats: number) => void,
): readonly string[] {
  const wanted = wantedOf(aggregates, temporality)
  const forms = new Map<string, string>()
  const found: string[] = []
  for (const body of bodies) {
    for (const [key, value, form] of pointsOf(Buffer.from(body))) {
      if (forms.has(key)) count(1)
      if ((forms.get(key) ?? form) !== form) found.push(`otlp: two forms of ${key}`)
      forms.set(key, form)
      if (wanted.get(key) !== value) found.push(`otlp: ${key} is ${value}, not ${wanted.get(key)}`)
    }
  }
  const missing = [...wanted.keys()].filter((key) => !forms.has(key))
  return [...found, ...missing.map((key) => `otlp: no ${key}`)]
}

const DURATIONS: Readonly<Record<string, string>> = {
  ttft_us: 'gen_ai.client.operation.time_to_first_chunk',
  chunk_gap_us: 'gen_ai.client.operation.time_per_output_chunk',
  itl_us: 'latency_lens.inter_token_latency',
  tpot_us: 'latency_lens.time_per_output_token',
  e2e_us: 'gen_ai.client.operation.duration',
  queue_us: 'latency_lens.queue.duration',
}

const STREAM_MS = 6 * 3_600_000

/** What has been counted of a series in one stream. */
interface Counted {
  readonly startMs: number
  endMs: number
  readonly windows: Set<number>
  readonly totals: Map<string, bigint>
}

/** The points that the aggregates bring, in the order in which they lie, with their counts. */
function wantedOf(aggregates: readonly Aggregate[], temporality: Temporality) {
  const points = new Map<string, bigint>()
  const all = new Map<string, Counted>()
  const viewEnds = new Map<string, number>()
  for (const aggregate of aggregates) {
    const { series, size_s, revision, start, end } = aggregate
    if (isView(aggregate)) {
      const [name, bits] = viewOf(aggregate)
      // A gauge does not go back in time.
      if (end > (viewEnds.get(name) ?? 0)) points.set(`${name} ${start} ${end}`, bits)
      viewEnds.set(name, Math.max(viewEnds.get(name) ?? 0, end))
    }
    if (size_s !== 60 || revision > 0 || Object.keys(series).length !== 4) continue
    const name = `${JSON.stringify(series)} ${Math.floor(start / STREAM_MS)}`
    const fresh = { startMs: start, endMs: start, windows: new Set<number>(), totals: new Map() }
    const own = all.get(name) ?? fresh
    all.set(name, own)
    if (own.windows.has(start)) continue
    own.windows.add(start)
    for (const [metric, count] of countsOf(aggregate)) {
      const total = (own.totals.get(metric) ?? 0n) + count
      own.totals.set(metric, total)
      if (temporality === 'delta') points.set(`${metric} ${start} ${end}`, count)
    }
    if (temporality === 'delta' || end <= own.endMs) continue
    own.endMs = end
    for (const [metric, total] of own.totals) points.set(`${metric} ${own.startMs} ${end}`, total)
  }
  return points
}

function isView({ series, size_s, revision }: Aggregate): boolean {
  const isGrouped = ['model', 'endpoint'].includes(Object.keys(series).join())
  return isGrouped && size_s > 60 && revision === 0
}

function viewOf({ series, size_s, requests }: Aggregate): [key: string, bits: bigint] {
  const [[name, value] = []] = Object.entries(series)
  const labels = [
    'gen_ai.operation.name=chat',
    `${name === 'model' ? 'gen_ai.request.model' : 'latency_lens.endpoint'}=${value}`,
    `grouping=${name}`,
    `window=${size_s / 60}m`,
  ]
  const bits = Buffer.alloc(8)
  bits.writeDoubleLE(requests / size_s)
  return [`${VIEW} ${labels.sort().join()}`, bits.readBigInt64LE()]
}

/** The counts of an aggregate, by metric and attributes. */
function* countsOf(aggregate: Aggregate): Iterable<readonly [key: string, count: bigint]> {
  const { series, requests, errors, cancelled, metrics } = aggregate
  const labels = [
    'gen_ai.operation.name=chat',
    `gen_ai.request.model=${series.model}`,
    ...['endpoint', 'region', 'tenant'].map((name) => `latency_lens.${name}=${series[name]}`),
  ]
  const keyOf = (metric: string, ...more: string[]) => {
    return `${metric} ${[...labels, ...more].sort().join()}`
  }
  const counters = [
    ['requests', requests - errors - cancelled, 'status=ok'],
    ['requests', errors, 'status=error'],
    ['requests', cancelled, 'status=cancelled'],
    ['tokens', aggregate.input_tokens, 'gen_ai.token.type=input'],
    ['tokens', aggregate.output_tokens, 'gen_ai.token.type=output'],
    ['chunks', aggregate.chunks],
  ] as const
  for (const [name, count, ...more] of counters) {
    yield [keyOf(`latency_lens.${name}`, ...more), BigInt(count)]
  }
  for (const [name, { count }] of Object.entries(metrics)) {
    if (count > 0) yield [keyOf(DURATIONS[name]!), BigInt(count)]
  }
}
