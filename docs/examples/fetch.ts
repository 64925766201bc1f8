// Measures calls that a program makes with fetch.
// KAFKA_BROKERS=... SCHEMA_REGISTRY_URL=... UPSTREAM=http://127.0.0.1:8000 node docs/examples/fetch.ts
import { openLens } from '../../services/collector/library.ts'

const { KAFKA_BROKERS = '', SCHEMA_REGISTRY_URL = '', UPSTREAM = '' } = process.env
const lens = await openLens({
  kafkaBrokers: KAFKA_BROKERS,
  schemaRegistryUrl: SCHEMA_REGISTRY_URL,
  labels: { endpoint: 'pool-a', tenant: 'acme' },
})

// Any API of docs/collector.md: the dialect goes by the path.
const response = await lens.fetch(`${UPSTREAM}/v1/chat/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    model: 'llama',
    stream: true,
    messages: [{ role: 'user', content: 'Why is the sky blue?' }],
  }),
})
for await (const bytes of response.body!) process.stdout.write(bytes)

await lens.close()
console.log(lens.stats())
