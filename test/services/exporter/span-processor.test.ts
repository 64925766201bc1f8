import { expect } from 'chai'
import type { RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import { createHealth } from '../../../services/bus/health.ts'
import type { Decoded } from '../../../services/core/processor.ts'
import { exporterConfig } from '../../../services/exporter/config.ts'
import { createSpanProcessor } from '../../../services/exporter/span-processor.ts'
import { spanStage } from '../../../services/exporter/stage.ts'
import { spanOf } from '../../../services/formats/span.ts'
import { requestEnd, tokenEvents } from '../formats/records.ts'
import { assignment, broken, ended, running } from './lake-log.ts'

const RULES = { share: 0, slowTtftUs: 1_000_000, slowE2eUs: 2_000_000 }

function given(records: readonly Decoded[], more: Partial<typeof RULES> = {}) {
  const processor = createSpanProcessor(assignment(), { ...RULES, ...more })
  const plan = processor.onBatch({ topic: 'lens.token-events', partition: 0, records })
  const spans = plan.effects.flatMap((effect) => effect.spans)
  return { processor, plan, ids: spans.map(({ requestId }) => requestId) }
}

function request(
  offset: number,
  more: Partial<TokenEvents>,
  end: Partial<RequestEnd> = {},
): Decoded {
  return ended(offset, 0, { ...more, end: requestEnd(end) })
}

describe('exporter/span-processor', () => {
  it('sends failed and slow requests, and none of the others without a share', () => {
    const records = [
      request(0, {}),
      request(1, {}, { status: 'error', error_type: 'http_500' }),
      request(2, {}, { status: 'truncated' }),
      request(3, {}, { status: 'cancelled' }),
      request(4, { gaps_us: [1_000_001] }, { ttft_us: 1_000_001 }),
      request(5, { elapsed_us: 1_999_999, gaps_us: [2] }),
      running(6, 0),
      broken(7, 0),
      request(8, { started_at: -5 }, { status: 'error' }),
      request(9, {}, { status: 'error', duration_us: -1 }),
      request(10, { started_at: 2 ** 53 - 1 }, { status: 'error' }),
    ]
    const { ids, processor, plan } = given(records)
    expect(ids).to.deep.equal(['r-1', 'r-2', 'r-4', 'r-5'])
    const counts = { records: 11, bad: 1, unended: 1, unsampled: 2, refused: 3, spans: 4 }
    expect(processor.stats).to.deep.equal(counts)
    expect(plan.commit).to.deep.equal({ offset: 11, metadata: '' })
  })

  it('takes a share of the others by their ids, always the same ones', () => {
    const records = Array.from({ length: 4_000 }, (_, i) => ended(i, 0))
    const { ids, plan } = given(records, { share: 0.25 })
    expect(ids.length).to.be.within(900, 1_100)
    expect(given(records.toReversed(), { share: 0.25 }).ids.sort()).to.deep.equal(ids.sort())
    expect(given(records, { share: 1 }).ids).to.have.length(4_000)
    expect(plan.effects[0]!.spans).to.have.length(500)
  })

  it('makes a span of a request by the GenAI conventions', () => {
    const end = requestEnd({ status: 'error', error_type: 'timeout', cached_tokens: 3 })
    const request = { ...tokenEvents({ request_id: 'r-9', tenant: '' }), end }
    const { attributes, ...span } = spanOf(request)
    const startUs = request.started_at
    expect(span).to.deep.equal({
      ...{ requestId: 'r-9', name: `chat ${request.model}`, error: 'timeout' },
      ...{ startUs, endUs: startUs + end.duration_us },
      events: [{ name: 'first_chunk', atUs: startUs + end.ttft_us! }],
    })
    expect(attributes).to.deep.include({
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': request.model,
      'gen_ai.response.time_to_first_chunk': end.ttft_us! / 1e6,
      'gen_ai.usage.cache_read.input_tokens': 3,
      'error.type': 'timeout',
    })
    expect(attributes).not.to.have.any.keys('latency_lens.tenant', 'latency_lens.quality')
  })

  it('is a fault of the settings when spans have nowhere to go', () => {
    const config = exporterConfig.parse({ spanShare: '0.1' })
    const health = createHealth('exporter')
    expect(() => spanStage(config, health, {}, () => {})).to.throw(
      /give OTEL_EXPORTER_OTLP_ENDPOINT/,
    )
    expect(spanStage(exporterConfig.parse({}), health, {}, () => {})).to.equal(null)
  })
})
