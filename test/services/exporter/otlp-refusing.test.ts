/** An endpoint that refuses 70 % of the exports, in every way that may pass. */
import { createServer, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { AGGREGATES } from '../../../schemas/topics.ts'
import { close, listen } from '../../../services/bus/listen.ts'
import type { LensError } from '../../../services/core/errors.ts'
import { createRandom } from '../../../services/core/random.ts'
import { createHttpTransport } from '../../../services/exporter/otlp-http.ts'
import { createOtlpProcessor } from '../../../services/exporter/otlp-processor.ts'
import { createOtlpSender } from '../../../services/exporter/otlp-sender.ts'
import { readOtlpSettings } from '../../../services/exporter/otlp-settings.ts'
import { otlpMetrics, otlpProtobuf } from '../../../services/formats/otlp.ts'
import { aggregate, T0_MS } from '../formats/records.ts'
import { assignment } from './lake-log.ts'

const SEED = 5
const SHARE = 0.7
const WINDOWS = 200

/** Ways to refuse; in the last two it has taken what came. */
const REFUSALS: readonly ((response: ServerResponse, take: () => void) => void)[] = [
  (response) => response.writeHead(503).end(),
  (response) => response.writeHead(429, { 'retry-after': '1' }).end(),
  (response) => response.destroy(),
  (response, take) => {
    take()
    response.destroy()
  },
  (response, take) => {
    take()
    response.writeHead(504).end()
  },
]

describe('exporter: an endpoint that refuses most exports', function () {
  this.timeout(60_000)

  it(`has every window in the end, in order, and the totals that it would have (seed ${SEED})`, async () => {
    const random = createRandom(SEED)
    const taken: string[] = []
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const take = () => void taken.push(Buffer.concat(chunks).toString('base64'))
      if (random() < SHARE) {
        REFUSALS[Math.floor(random() * REFUSALS.length)]!(response, take)
        return
      }
      take()
      response.writeHead(200).end()
    })
    const url = await listen(server, '127.0.0.1', 0)
    const settings = readOtlpSettings('metrics', url, {})!
    const hooks = { sleep: async () => {}, random, nowMs: () => 0 }
    const sender = createOtlpSender(
      createHttpTransport(settings, () => 0),
      hooks,
    )
    const windows = Array.from({ length: WINDOWS }, (_, i): Aggregate => {
      const start = T0_MS + i * 60_000
      return aggregate({ start, end: start + 60_000, requests: i })
    })
    const place = { topic: AGGREGATES, partition: 0 }
    const options = { grouping: ['model', 'endpoint', 'region', 'tenant'], views: [] } as const
    const processor = createOtlpProcessor(
      { ...assignment(), ...place },
      { ...options, temporality: 'cumulative' },
    )
    const wanted: string[] = []
    for (const [offset, value] of windows.entries()) {
      const records = [{ offset, appendMs: 0, value, bad: null }]
      for (const { points, instance } of processor.onBatch({ ...place, records }).effects) {
        const body = otlpProtobuf(otlpMetrics(points, instance, false))
        wanted.push(Buffer.from(body).toString('base64'))
        await untilTaken(() => sender.send(body, points.length))
      }
    }
    await close(server)
    // Twice the same is as good as once: each is a total, and none comes behind a later one.
    const different = taken.filter((body, i) => body !== taken[i - 1])
    expect(different).to.deep.equal(wanted)
    expect(taken.length).to.be.above(wanted.length)
    expect(sender.stats).to.deep.include({ rejected: 0, requestsRejected: 0 })
  })
})

/** As the runner does. */
async function untilTaken(send: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await send()
      return
    } catch (error) {
      expect((error as LensError).retryable).to.equal(true)
    }
  }
}
