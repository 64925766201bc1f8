/** A program with OpenTelemetry's own SDK, whose calls its instrumentation writes as spans. */
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { NodeSDK } from '@opentelemetry/sdk-node'

const startMs = Number(process.env.START_MS)
const off = { OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' }
Object.assign(process.env, off, { OTEL_SERVICE_NAME: 'shop' })
const sdk = new NodeSDK()
sdk.start()
const tracer = trace.getTracer('an instrumentation')
for (const tenant of ['acme', 'beta']) {
  const span = tracer.startSpan('chat m', {
    kind: SpanKind.CLIENT,
    startTime: startMs,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'm',
      'gen_ai.provider.name': 'openai',
      'gen_ai.input.messages': 'a secret prompt',
      'server.address': 'api.openai.com',
      'server.port': 443,
      'latency_lens.tenant': tenant,
    },
  })
  for (const ms of [250, 290, 320]) {
    span.addEvent('llm.content.completion.chunk', { content: 'secret' }, startMs + ms)
  }
  span.setAttributes({
    'gen_ai.usage.input_tokens': 9,
    'gen_ai.usage.output_tokens': 3,
    'gen_ai.response.finish_reasons': ['stop'],
  })
  span.setStatus({ code: SpanStatusCode.UNSET })
  span.end(startMs + 400)
}
const other = tracer.startSpan('GET /', { startTime: startMs })
other.end(startMs + 1)
await sdk.shutdown()
