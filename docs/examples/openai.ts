// Measures the calls of a client library: those of OpenAI and Anthropic take a fetch.
// KAFKA_BROKERS=... SCHEMA_REGISTRY_URL=... UPSTREAM=http://127.0.0.1:8000 node docs/examples/openai.ts
import OpenAI from 'openai'
import { openLens } from '../../services/collector/library.ts'

const { KAFKA_BROKERS = '', SCHEMA_REGISTRY_URL = '', UPSTREAM = '' } = process.env
const lens = await openLens({
  kafkaBrokers: KAFKA_BROKERS,
  schemaRegistryUrl: SCHEMA_REGISTRY_URL,
  labels: { endpoint: 'pool-a', provider: 'openai', tenant: 'acme' },
})
const client = new OpenAI({ baseURL: `${UPSTREAM}/v1`, apiKey: 'none', fetch: lens.fetch })

const stream = await client.chat.completions.create({
  model: 'llama',
  stream: true,
  // Without it most servers do not say how many tokens there were.
  stream_options: { include_usage: true },
  messages: [{ role: 'user', content: 'Why is the sky blue?' }],
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '')

await lens.close()
console.log(lens.stats())
