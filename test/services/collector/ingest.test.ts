import { connect } from 'node:net'
import { expect } from 'chai'
import type { TokenEvents } from '../../../schemas/records.ts'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { type Ingest, startIngest } from '../../../services/collector/ingest.ts'
import { createQueue, type Queue } from '../../../services/collector/queue.ts'
import { NOON_MS, NOON_US, requestEnd, tokenEvents } from '../../records.ts'
import { createFaultyLog, type Fate, type FaultyLog } from './faulty-sink.ts'

const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)

/** The least that a record of an ended request must say. */
const LEAST = {
  request_id: 'r-1',
  model: 'm',
  endpoint: 'e',
  started_at: NOON_US,
  gaps_us: [200_000, 20_000],
  end: { status: 'ok', duration_us: 230_000, ttft_us: 200_000, chunks: 2 },
}

describe('collector/ingest', () => {
  let fate: Fate
  let log: FaultyLog
  let queue: Queue
  let ingest: Ingest

  beforeEach(async () => {
    fate = 'ok'
    log = createFaultyLog(() => fate)
    queue = createQueue({
      sink: log.open,
      encode: codec.encode,
      partitions: { 'lens.token-events': 3, 'lens.resource-samples': 2 },
      flushMs: 5,
      recordsMax: 7,
      log: () => {},
    })
    const options = {
      host: '127.0.0.1',
      port: 0,
      codec,
      queue,
      recordsMax: 5,
      nowMs: () => NOON_MS,
    }
    ingest = await startIngest(options)
  })
  afterEach(async () => {
    await ingest.stop()
    await queue.close()
  })

  async function post(body: unknown, more: RequestInit & { path?: string; type?: string } = {}) {
    const { path = '/v1/token-events', type = 'application/json', ...init } = more
    const response = await fetch(`${ingest.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
    })
    const text = await response.text()
    const answer = JSON.parse(text) as { accepted?: number; error?: Record<string, string> }
    return { status: response.status, ...answer, headers: response.headers }
  }

  /** What is in the log when all that waited has been sent. */
  async function stored() {
    await queue.close()
    return log.stored.flatMap(({ topic, records }) =>
      records.map(({ key, value }) => {
        return { topic, key, value: codec.decoder(topic)(value, NOON_MS).value as TokenEvents }
      }),
    )
  }

  it('takes a record, fills in what the schema knows, and keys it by its request', async () => {
    expect(await post(LEAST)).include({ status: 202, accepted: 1 })
    const [record, ...others] = await stored()
    expect(others).deep.equal([])
    expect(record).include({ topic: 'lens.token-events', key: 'r-1' })
    expect(record!.value).deep.include({ gaps_us: [200_000, 20_000], tenant: '', tokens: [] })
    expect(record!.value.end).deep.include({ status: 'ok', output_tokens: null, attempts: 1 })
  })

  it('fills in what an end repeats of its record', async () => {
    const { ttft_us: _, chunks: __, ...least } = LEAST.end
    const last = { ...LEAST, first_chunk: 4, elapsed_us: 9, end: { ...least, ttft_us: 7 } }
    const none = { ...LEAST, gaps_us: [], end: least }
    const first = { ...LEAST, tokens: [3, 1], end: least }
    expect(await post([first, last, none])).include({ accepted: 3 })
    const ends = (await stored()).map(({ value: { end: e } }) => {
      return [e!.chunks, e!.ttft_us, e!.first_chunk_tokens]
    })
    expect(ends).deep.equal([
      [2, 200_000, 3],
      [6, 7, 1],
      [0, null, 1],
    ])
  })

  it('takes no sample that windowing would refuse', async () => {
    const sample = { at: NOON_US, endpoint: 'e', name: 'gpu_utilization', value: 0.9 }
    const path = '/v1/resource-samples'
    const odd = [{ at: NOON_US * 2 }, { at: -5 }, { name: '' }, { name: 'x'.repeat(5000) }]
    for (const more of [...odd, { value: 1e300 }]) {
      expect((await post({ ...sample, ...more }, { path })).status, JSON.stringify(more)).equal(400)
    }
    expect(await stored()).deep.equal([])
  })

  it('takes lists and lines, and samples of resources', async () => {
    const whole = tokenEvents({ request_id: 'r-2', end: requestEnd() })
    expect(await post([LEAST, whole])).include({ accepted: 2 })
    const lines = `${JSON.stringify(LEAST)}\n\n${JSON.stringify(whole)}\n`
    expect(await post(lines, { type: 'application/x-ndjson' })).include({ accepted: 2 })
    const sample = { at: NOON_US, endpoint: 'e', name: 'gpu_utilization', value: 0.9 }
    expect(await post(sample, { path: '/v1/resource-samples' })).include({ accepted: 1 })
    expect(ingest.stats()).deep.equal({ accepted: 5, refused: {} })
    const all = await stored()
    expect(all.map(({ key }) => key).sort()).deep.equal(['e', 'r-1', 'r-1', 'r-2', 'r-2'])
    const again = all.filter(({ key }) => key === 'r-2').map(({ value }) => value)
    expect(JSON.parse(JSON.stringify(again[0]))).deep.equal(whole)
  })

  const end = (more: object) => ({ ...LEAST, end: { ...LEAST.end, ...more } })
  const bad: readonly [unknown, RegExp][] = [
    [{ ...LEAST, endpont: 'e' }, /^record 0: endpont must be left out: there is no such field$/],
    [{ ...LEAST, model: undefined }, /^record 0: model must be given$/],
    [{ ...LEAST, model: 3 }, /model must be a text/],
    [{ ...LEAST, gaps_us: [1, 2.5] }, /gaps_us\[1\] must be a whole number of 32 bits/],
    [{ ...LEAST, gaps_us: [1, 2 ** 31] }, /gaps_us\[1\] must be a whole number of 32 bits/],
    [{ ...LEAST, gaps_us: [1, -1] }, /gaps_us must hold no gap below zero/],
    [{ ...LEAST, gaps_us: 'x' }, /gaps_us must be a list/],
    [{ ...LEAST, tokens: [1] }, /tokens must be empty, or as long as gaps_us/],
    [{ ...LEAST, started_at: '2026-11-24T12:00:00Z' }, /started_at must be a whole number/],
    [{ ...LEAST, attributes: { a: 1 } }, /attributes\.a must be a text/],
    [{ ...LEAST, elapsed_us: 5 }, /elapsed_us must be 0 before the first chunk/],
    [{ ...LEAST, request_id: '' }, /request_id must be a text of 1 to 256/],
    [end({ status: 'fine' }), /end\.status must be one of ok, error, cancelled, truncated/],
    [end({ duration_us: -1 }), /end\.duration_us must not be below zero/],
    [end({ ttft_us: 5 }), /end\.ttft_us must be the first gap, or be left out/],
    [end({ ttft_us: null }), /end\.ttft_us must be given with chunks/],
    [end({ chunks: 500 }), /end\.chunks must be first_chunk and the gaps of this record together/],
    [{ ...end({ first_chunk_tokens: 2 }), tokens: [1, 1] }, /end\.first_chunk_tokens must be the/],
    [end({ output_tokens: -1 }), /end\.output_tokens must not be below zero/],
    [end({ cost_usd: -1 }), /end\.cost_usd must not be below zero/],
    [end({ attempts: 0 }), /end\.attempts must be from 1 to 1000/],
    [end({ error_type: 'x'.repeat(129) }), /end\.error_type must be a class/],
    [{ ...LEAST, request_id: 'x'.repeat(257) }, /request_id must be a text of 1 to 256/],
    [{ ...LEAST, attributes: { a: 'x'.repeat(9000) } }, /attributes must be shorter/],
    [
      { ...LEAST, first_chunk: 3, end: { status: 'ok', duration_us: 1 } },
      /end\.ttft_us must be given/,
    ],
    [
      { ...LEAST, gaps_us: [2 ** 31 - 1, 2 ** 31 - 1], end: null },
      /^record 0: a field is outside its limits/,
    ],
    [end({ security: {} }), /end\.security\.validation_us must be given/],
    [end({ cost_usd: '1' }), /end\.cost_usd must be a number/],
    [{ ...LEAST, started_at: NOON_US + 120_000_000 }, /more than a minute ahead/],
    [[LEAST, LEAST, null], /^record 2: it must be an object$/],
    ['{"a":', /the body is no JSON/],
  ]
  for (const [body, says] of bad) {
    it(`says of ${JSON.stringify(body).slice(0, 50)}… ${says}`, async () => {
      const { status, error } = await post(body)
      expect(status).equal(400)
      expect(error!.message).match(says)
      expect(await stored()).deep.equal([])
    })
  }

  it('takes a record of Avro as it is in the topic', async () => {
    const type = 'application/avro'
    const record = tokenEvents({ request_id: 'r-3', end: requestEnd() })
    const bytes = codec.encode('lens.token-events', record)
    const send = (body: Uint8Array<ArrayBuffer>) => post('', { type, body })
    expect(await send(Uint8Array.from(bytes))).include({ status: 202, accepted: 1 })
    const cut = await send(Uint8Array.from(bytes.subarray(0, 40)))
    expect([cut.status, cut.error!.code]).deep.equal([400, 'truncated'])
    const foreign = Uint8Array.from(bytes)
    foreign[4] = 99
    expect((await send(foreign)).error!.code).equal('unknown_schema')
    expect((await send(Uint8Array.from([1, 2, 3]))).error!.code).equal('bad_magic')
    const late = codec.encode('lens.token-events', { ...record, started_at: NOON_US * 2 })
    expect((await send(Uint8Array.from(late))).error!.code).equal('future_time')
    const [only, ...others] = await stored()
    expect(others).deep.equal([])
    expect(only).include({ key: 'r-3' })
    expect(JSON.parse(JSON.stringify(only!.value))).deep.equal(record)
  })

  it('takes all of a request or nothing', async () => {
    const { status, error } = await post([LEAST, { ...LEAST, model: null }])
    expect([status, error!.message]).deep.equal([400, 'record 1: model must be a text'])
    const lines = `${JSON.stringify(LEAST)}\n{"a":`
    expect((await post(lines, { type: 'application/x-ndjson' })).error!.message).equal(
      'record 1: it must be JSON',
    )
    expect(await post(LEAST)).include({ status: 202 })
    expect(await stored()).length(1)
  })

  it('says what there is when a call is of another kind', async () => {
    expect(await post(LEAST, { path: '/v1/metrics' })).include({ status: 404 })
    expect(await post(LEAST, { method: 'PUT' })).include({ status: 405 })
    // A page of another site may send this without being asked.
    expect(await post(LEAST, { type: 'text/plain;x=json' })).include({ status: 415 })
    const many = Array.from({ length: 6 }, () => LEAST)
    expect((await post(many)).error!.message).contain('may hold 5 records')
    expect(await post('x'.repeat((1 << 20) + 1))).include({ status: 413 })
    // Nothing is unpacked, so nothing can be packed that is larger than it looks.
    for (const coding of ['gzip', 'br', 'zstd', 'deflate', 'gzip, gzip', 'x']) {
      const headers = { 'content-type': 'application/json', 'content-encoding': coding }
      expect(await post(LEAST, { headers }), coding).include({ status: 415 })
    }
    expect(ingest.stats().refused).deep.equal({ 400: 1, 404: 1, 405: 1, 413: 1, 415: 7 })
    expect(await post(LEAST)).include({ status: 202 })
  })

  it('asks clients to come again while too much waits for Kafka', async () => {
    fate = 'unavailable'
    expect(await post([LEAST, LEAST, LEAST, LEAST, LEAST])).include({ status: 202 })
    const { status, headers } = await post([LEAST, LEAST, LEAST])
    expect([status, headers.get('retry-after')]).deep.equal([503, '1'])
    fate = 'ok'
    expect(await post([LEAST, LEAST])).include({ status: 202 })
    expect(await stored()).length(7)
  })

  it('takes nothing of a body that breaks off, and goes on', async () => {
    const { hostname, port } = new URL(ingest.url)
    const socket = connect(Number(port), hostname)
    socket.write('POST /v1/token-events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n')
    socket.write(`Content-Length: 9000\r\n\r\n${JSON.stringify(LEAST)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.destroy()
    expect(await post({ ...LEAST, request_id: 'r-9' })).include({ status: 202 })
    expect((await stored()).map(({ key }) => key)).deep.equal(['r-9'])
  })
})
