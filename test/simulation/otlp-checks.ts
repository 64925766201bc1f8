/** What the OTLP endpoint has received, read from the bytes, against the aggregates. */
import type { Aggregate } from '../../schemas/records.ts'

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

const METRIC = [1, 2, 2]
const SUM_POINTS = [7, 1]
const HISTOGRAM_POINTS = [10, 1]

/** The points of a request: `metric attributes start` and what is said of it. */
function* pointsOf(body: Buffer): Iterable<readonly [key: string, value: bigint, form: string]> {
  for (const metric of valuesAt(body, METRIC) as Buffer[]) {
    const name = String(valuesAt(metric, [1])[0])
    const kinds = [
      { path: SUM_POINTS, attributes: 7, value: 6 },
      { path: HISTOGRAM_POINTS, attributes: 1, value: 4 },
    ]
    for (const { path, attributes, value } of kinds) {
      for (const point of valuesAt(metric, path) as Buffer[]) {
        const labels = (valuesAt(point, [attributes]) as Buffer[]).map((each) => {
          return `${valuesAt(each, [1])[0]}=${valuesAt(each, [2, 1])[0]}`
        })
        const startMs = (valuesAt(point, [2])[0] as bigint) / 1_000_000n
        const key = `${name} ${labels.sort().join()} ${startMs}`
        yield [key, valuesAt(point, [value])[0] as bigint, point.toString('base64')]
      }
    }
  }
}

/**
 * Each final minute of the finest grouping is there, and nothing else; one can be there again, with
 * the identical points: OTLP is at least once.
 */
export function otlpFaults(
  bodies: readonly Uint8Array[],
  aggregates: readonly Aggregate[],
  count: (repeats: number) => void,
): readonly string[] {
  const wanted = new Map(aggregates.flatMap((each) => [...wantedOf(each)]))
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

/** The points that an aggregate brings, with their counts; none when it is not to be sent. */
function* wantedOf(aggregate: Aggregate): Iterable<readonly [key: string, count: bigint]> {
  const { series, size_s, revision, requests, errors, cancelled, metrics } = aggregate
  if (size_s !== 60 || revision > 0 || Object.keys(series).length !== 4) return
  const labels = [
    'gen_ai.operation.name=chat',
    `gen_ai.request.model=${series.model}`,
    ...['endpoint', 'region', 'tenant'].map((name) => `latency_lens.${name}=${series[name]}`),
  ]
  const keyOf = (metric: string, ...more: string[]) => {
    return `${metric} ${[...labels, ...more].sort().join()} ${aggregate.start}`
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
