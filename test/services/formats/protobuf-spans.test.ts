import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { spanIdsOf } from '../../../services/exporter/span-ids.ts'
import { spansProtobuf } from '../../../services/formats/protobuf-spans.ts'
import { spanOf } from '../../../services/formats/span.ts'
import { OTLP_PROTO, pythonWith, runPython } from './python.ts'
import { requestEnd, T0_MS, tokenEvents } from './records.ts'

const SCRIPT = `
import json, sys
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
request = ExportTraceServiceRequest()
request.ParseFromString(open(sys.argv[1], 'rb').read())
print(json.dumps(json_format.MessageToDict(request)))
`

interface Decoded {
  readonly resourceSpans: readonly [
    { readonly resource: unknown; readonly scopeSpans: readonly [{ readonly spans: Span[] }] },
  ]
}

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly name: string
  readonly attributes: readonly { readonly key: string; readonly value: object }[]
  readonly [field: string]: unknown
}

describe('formats/protobuf-spans', function () {
  this.timeout(120_000)

  it("is what Google's decoder reads as a span with its first chunk and its error", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lens-spans-'))
    // A whole number of seconds is a number of seconds still.
    const failed = requestEnd({ status: 'error', error_type: 'http_500', ttft_us: 2_000_000 })
    const requests = [requestEnd(), failed].map((end, i) =>
      spanOf({ ...tokenEvents({ request_id: `größe-${i}` }), end }),
    )
    const path = join(folder, 'spans.bin')
    await writeFile(path, spansProtobuf(requests, 'lens.token-events-3', spanIdsOf))
    const read = await runPython<Decoded>(await pythonWith(OTLP_PROTO), SCRIPT, [path])
    await rm(folder, { recursive: true })
    const [{ resource, scopeSpans }] = read.resourceSpans
    expect(resource).to.deep.equal({
      attributes: [
        { key: 'service.name', value: { stringValue: 'llm-latency-lens' } },
        { key: 'service.instance.id', value: { stringValue: 'lens.token-events-3' } },
      ],
    })
    const { spans } = scopeSpans[0]
    const nanos = (us: number) => `${BigInt(T0_MS * 1000 + us) * 1000n}`
    for (const [i, { traceId, spanId, attributes, ...span }] of spans.entries()) {
      expect(Buffer.from(traceId, 'base64')).to.have.length(16)
      expect(Buffer.from(spanId, 'base64')).to.have.length(8)
      expect(span).to.deep.equal({
        ...{ name: `chat ${tokenEvents().model}`, kind: 'SPAN_KIND_CLIENT' },
        ...{ startTimeUnixNano: nanos(0), endTimeUnixNano: nanos(260_000) },
        events: [{ timeUnixNano: nanos([100_000, 2_000_000][i]!), name: 'first_chunk' }],
        ...(i === 1 && { status: { message: 'http_500', code: 'STATUS_CODE_ERROR' } }),
      })
      const values = Object.fromEntries(attributes.map(({ key, value }) => [key, value]))
      expect(values).to.deep.include({
        'gen_ai.request.stream': { boolValue: true },
        'gen_ai.response.time_to_first_chunk': { doubleValue: [0.1, 2][i] },
        'gen_ai.usage.input_tokens': { intValue: '12' },
        'gen_ai.response.finish_reasons': { arrayValue: { values: [{ stringValue: 'stop' }] } },
        'latency_lens.request_id': { stringValue: `größe-${i}` },
      })
    }
    expect(new Set(spans.map(({ traceId }) => traceId)).size).to.equal(2)
  })
})
