/**
 * The collector as it is, but its records end in a sink that lets them go, or keeps them for the
 * file of the second argument, which is written at the end: no part of Kafka.
 */
import { writeFileSync } from 'node:fs'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import type { Sink } from '../../../services/bus/port.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { startCollector } from '../../../services/collector/collector.ts'
import { collectorConfig } from '../../../services/collector/config.ts'

const [, , upstreamPort, file] = process.argv
const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)
const decode = codec.decoder(TOKEN_EVENTS)
const kept: Uint8Array[] = []
const sink: Sink = {
  async append(_topic, _partition, records) {
    if (file) for (const { value } of records) kept.push(value)
    return { baseOffset: 0, appendMs: null }
  },
  close: async () => {},
}
const collector = await startCollector({
  config: collectorConfig.parse({ upstream: `http://127.0.0.1:${upstreamPort}`, port: 0 }),
  sink: async () => sink,
  codec,
  partitions: { [TOKEN_EVENTS]: 12, [RESOURCE_SAMPLES]: 12 },
  log: (line) => void process.stderr.write(`  collector: ${line}\n`),
})

process.send!({ port: Number(new URL(collector.url).port) })
process.on('disconnect', async () => {
  const { proxy, queue } = collector.stats()
  const lost = { ...proxy.faults, ...queue.dropped }
  // A tap that measures nothing would be a fast one.
  if (queue.sent === 0 || Object.keys(lost).length > 0) {
    process.stderr.write(`  collector: ${queue.sent} sent, trouble: ${JSON.stringify(lost)}\n`)
  }
  await collector.stop()
  if (file) writeFileSync(file, kept.map(lineOf).join(''))
  process.exit()
})

function lineOf(value: Uint8Array): string {
  return `${JSON.stringify(decode(value, 0).value)}\n`
}
