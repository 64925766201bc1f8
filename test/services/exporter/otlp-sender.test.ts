import { gunzipSync } from 'node:zlib'
import { expect } from 'chai'
import type { LensError } from '../../../services/core/errors.ts'
import { createHttpTransport } from '../../../services/exporter/otlp-http.ts'
import { createOtlpSender, type OtlpSender } from '../../../services/exporter/otlp-sender.ts'
import { type OtlpSettings, readOtlpSettings } from '../../../services/exporter/otlp-settings.ts'
import { type HttpDouble, type Reply, startDouble } from '../lake/http-double.ts'

const BODY = Buffer.from('a request')
const OK: Reply = { status: 200 }
const NOW_MS = Date.UTC(2025, 10, 24, 12)

/** ExportMetricsServiceResponse { partial_success { rejected_data_points, error_message } }. */
function partialSuccess(rejected: number, message: string): Reply {
  const text = Buffer.from(message)
  const inner = Buffer.concat([Buffer.of(0x08, rejected, 0x12, text.length), text])
  return { status: 200, body: Buffer.concat([Buffer.of(0x0a, inner.length), inner]) }
}

describe('exporter/otlp-sender', function () {
  this.timeout(30_000)
  let server: HttpDouble
  let waits: number[]
  let nowMs: number
  afterEach(() => server.stop())

  async function senderOn(
    replies: readonly Reply[],
    more: Partial<OtlpSettings> = {},
    env: Record<string, string> = {},
  ): Promise<OtlpSender> {
    server = await startDouble(replies)
    waits = []
    nowMs = NOW_MS
    const sleep = async (ms: number): Promise<void> => void waits.push(ms)
    const settings = { ...readOtlpSettings('metrics', server.url, env)!, ...more }
    const transport = createHttpTransport(settings, () => nowMs)
    return createOtlpSender(transport, { sleep, random: () => 0, nowMs: () => nowMs })
  }

  async function failureOf(sender: OtlpSender): Promise<LensError> {
    const error = await sender.send(BODY, 7).then(
      () => null,
      (fault: unknown) => fault,
    )
    expect(error).to.have.property('code', 'otlp_unavailable')
    return error as LensError
  }

  it('posts the body as it is, with the headers of the environment', async () => {
    const env = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x' }
    const sender = await senderOn([OK], {}, env)
    await sender.send(BODY, 7)
    const [post] = server.seen
    expect(post).to.deep.include({ method: 'POST', path: '/v1/metrics', body: BODY })
    expect(post!.headers).to.include({
      'content-type': 'application/x-protobuf',
      authorization: 'Bearer x',
    })
    expect(post!.headers).not.to.have.property('content-encoding')
    expect(sender.stats).to.deep.include({ requests: 1, accepted: 7, rejected: 0 })
  })

  it('compresses when asked to', async () => {
    const sender = await senderOn([OK], {}, { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' })
    await sender.send(BODY, 1)
    expect(server.seen[0]!.headers['content-encoding']).to.equal('gzip')
    expect(gunzipSync(server.seen[0]!.body)).to.deep.equal(BODY)
  })

  for (const trouble of [{ status: 429 }, { status: 502 }, { status: 504 }, 'cut'] as const) {
    it(`tries again after ${JSON.stringify(trouble)}, each time later`, async () => {
      const sender = await senderOn([trouble, { status: 503 }, trouble, OK])
      await sender.send(BODY, 7)
      expect(server.seen.map(({ body }) => body.toString())).to.deep.equal(
        new Array(4).fill(BODY.toString()),
      )
      expect(waits).to.deep.equal([250, 500, 1000])
      expect(sender.stats).to.deep.include({ requests: 1, retries: 3, accepted: 7 })
    })
  }

  it('waits as long as the endpoint asks for, in seconds or until a date', async () => {
    const wishes = ['3', new Date(NOW_MS + 5000).toUTCString(), 'soon']
    const replies = wishes.map((wish) => ({ status: 503, headers: { 'retry-after': wish } }))
    const sender = await senderOn([...replies, OK])
    await sender.send(BODY, 1)
    expect(waits).to.deep.equal([3000, 5000, 1000])
  })

  it('does not sit out a long wish: it gives up at once and asks nothing until then', async () => {
    const sender = await senderOn([{ status: 429, headers: { 'retry-after': '60' } }, OK])
    expect((await failureOf(sender)).retryable).to.equal(true)
    nowMs += 59_001
    const error = await failureOf(sender)
    expect(error.retryable).to.equal(true)
    expect(error.message).to.contain('it asks to wait 1 s more')
    expect(server.seen).to.have.length(1)
    nowMs += 1000
    await sender.send(BODY, 7)
    expect({ seen: server.seen.length, waits }).to.deep.equal({ seen: 2, waits: [] })
  })

  it('gives up as retryable what stays busy, and says what it was told', async () => {
    const sender = await senderOn([{ status: 503, body: Buffer.from('full') }])
    const error = await failureOf(sender)
    expect(error.retryable).to.equal(true)
    expect(error.message).to.match(/cannot reach http:.*: status 503 "full"/)
    expect(server.seen).to.have.length(4)
  })

  it('gives up as retryable an endpoint that is too slow to answer, or is not there', async () => {
    const slow = await failureOf(await senderOn(['hang'], { timeoutMs: 20 }))
    expect(slow.retryable).to.equal(true)
    expect(slow.message).to.match(/no answer in/)
    expect(server.seen).to.have.length(4)
    await server.stop()
    const gone = await senderOn([OK])
    await server.stop()
    expect((await failureOf(gone)).message).to.contain('ECONNREFUSED')
  })

  it('counts a request that is wrong, does not repeat it, and goes on', async () => {
    const text = 'x'.repeat(500)
    const sender = await senderOn([{ status: 400, body: Buffer.from(text) }, OK])
    await sender.send(BODY, 7)
    await sender.send(BODY, 2)
    expect(server.seen).to.have.length(2)
    expect(waits).to.deep.equal([])
    expect(sender.stats).to.deep.equal({
      requests: 2,
      retries: 0,
      accepted: 2,
      rejected: 7,
      requestsRejected: 1,
      lastRejection: `status 400 "${'x'.repeat(200)}"`,
    })
  })

  it('does not repeat what OTLP says must not be, even a 500', async () => {
    for (const status of [413, 422, 500]) {
      const sender = await senderOn([{ status }])
      await sender.send(BODY, 7)
      expect(server.seen, String(status)).to.have.length(1)
      expect(sender.stats.lastRejection).to.equal(`status ${status}`)
      await server.stop()
    }
  })

  it('stops for a person when the endpoint refuses us, or is another service', async () => {
    for (const status of [301, 401, 403, 404, 405, 505]) {
      const sender = await senderOn([{ status, headers: { location: '/elsewhere' } }])
      const error = await failureOf(sender)
      expect(error.retryable, String(status)).to.equal(false)
      expect(error.message).to.contain(`refuses us: status ${status}`)
      expect(server.seen, String(status)).to.have.length(1)
      await server.stop()
    }
  })

  it('asks an endpoint again that refuses us after it has taken something', async () => {
    const sender = await senderOn([OK, { status: 403 }, { status: 404 }, OK])
    await sender.send(BODY, 7)
    for (const status of [403, 404]) {
      const error = await failureOf(sender)
      expect(error.retryable, String(status)).to.equal(true)
      expect(error.message).to.contain(`refuses us: status ${status}`)
    }
    await sender.send(BODY, 2)
    expect(sender.stats).to.deep.include({ accepted: 9, rejected: 0 })
  })

  it('counts what a partial success names, and does not repeat the rest', async () => {
    const sender = await senderOn([partialSuccess(3, 'too old')])
    await sender.send(BODY, 7)
    expect(server.seen).to.have.length(1)
    expect(sender.stats).to.deep.include({
      accepted: 4,
      rejected: 3,
      requestsRejected: 0,
      lastRejection: 'too old',
    })
  })

  it('takes an answer that is no protobuf for a plain yes', async () => {
    const sender = await senderOn([{ status: 202, body: Buffer.from('{"ok":true}') }])
    await sender.send(BODY, 7)
    expect(sender.stats).to.deep.include({ accepted: 7, rejected: 0 })
  })

  it('reads no more of an answer than it needs', async () => {
    const sender = await senderOn([{ status: 200, body: Buffer.alloc(5_000_000, 0x7a) }])
    await sender.send(BODY, 7)
    expect(sender.stats.accepted).to.equal(7)
  })
})
