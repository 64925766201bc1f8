// Measures a stream of any kind, such as that of an engine in the same process.
// KAFKA_BROKERS=... SCHEMA_REGISTRY_URL=... node docs/examples/observe.ts
import { setTimeout as sleep } from 'node:timers/promises'
import { openLens } from '../../services/collector/library.ts'

const { KAFKA_BROKERS = '', SCHEMA_REGISTRY_URL = '' } = process.env
const lens = await openLens({
  kafkaBrokers: KAFKA_BROKERS,
  schemaRegistryUrl: SCHEMA_REGISTRY_URL,
  labels: { endpoint: 'in-process', model: 'mine' },
})

async function* generate() {
  for (const ids of [[464], [6766, 318], [4171, 13]]) {
    await sleep(20)
    yield { ids }
  }
}
const items = lens.observe(generate(), {
  chunkOf: ({ ids }) => ({ output: ids.length > 0, tokens: ids.length }),
  tokenSource: 'tokenizer',
})
for await (const { ids } of items) console.log(ids)

await lens.close()
console.log(lens.stats())
