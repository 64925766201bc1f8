import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { TOPICS } from '../../schemas/topics.ts'
import type { Decoder } from '../bus/codec.ts'
import { commonOptions, configHelp, loadConfig, toggle } from '../bus/config.ts'
import type { Platform } from '../bus/platform.ts'
import type { RecordBatch } from '../bus/port.ts'
import { LensError } from '../core/errors.ts'
import { openKafkaPlatform } from './kafka-platform.ts'

const options = z.object({
  ...commonOptions,
  from: z.enum(['end', 'beginning']).default('end').describe('where to start: end or beginning'),
  json: toggle.describe('one JSON object per line'),
  limit: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('stop after so many records; 0 = never'),
})

const USAGE = `Prints the decoded records of a topic as they come; Ctrl-C ends it.

usage: npm run lens -- tail TOPIC [options]
  npm run lens -- tail lens.trigger-events
  npm run lens -- tail lens.aggregates --from beginning --json | jq .value.metrics.ttft_us.p95

topics: ${TOPICS.map((topic) => topic.name).join(', ')}`

/** `lens tail`: resolves when the limit is reached or a signal comes. */
export async function tail([topic = '--help', ...argv]: readonly string[]): Promise<void> {
  if (topic === '--help' || argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, options))
    return
  }
  if (!TOPICS.some((row) => row.name === topic)) {
    const names = TOPICS.map((row) => row.name).join(', ')
    throw new LensError('configuration_invalid', `there is no topic ${topic}; one of ${names}`)
  }
  const config = loadConfig(options, { env: process.env, argv })
  const platform = await openKafkaPlatform(config)
  const print = config.json ? asJson : asLine
  await follow(topic, config, platform, (line) => process.stdout.write(`${print(line)}\n`))
  await platform.bus.close()
}

/** A record as it is shown. */
export interface TailedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly time: string
  readonly key: string | null
  /** The decoded value, or `{ bad: reason }`. */
  readonly value: unknown
}

interface TailConfig {
  readonly from: 'end' | 'beginning'
  readonly limit: number
}

async function follow(
  topic: string,
  { from, limit }: TailConfig,
  { bus, codec }: Platform,
  show: (record: TailedRecord) => void,
): Promise<void> {
  const source = bus.source(`lens-tail-${randomUUID()}`, [topic])
  const decode = codec.decoder(topic)
  const ended = Promise.withResolvers<void>()
  let left = limit === 0 ? Number.POSITIVE_INFINITY : limit
  let positioned: Promise<void> = Promise.resolve()
  process.on('SIGINT', ended.resolve)
  process.on('SIGTERM', ended.resolve)
  await source.run({
    assigned(owned) {
      positioned = from === 'end' ? seekToEnd(owned.map(({ partition }) => partition)) : positioned
      positioned.catch(ended.reject)
    },
    async batch(batch, { isStale }) {
      await positioned
      if (isStale()) return
      await codec.prepare(
        topic,
        batch.records.map((record) => record.value),
      )
      for (const record of tailed(batch, decode)) {
        if (left-- <= 0) return ended.resolve()
        show(record)
      }
      if (left <= 0) ended.resolve()
    },
    failed: ended.reject,
  })
  await ended.promise
  await source.stop()

  async function seekToEnd(partitions: readonly number[]): Promise<void> {
    const ranges = await bus.offsets(topic)
    for (const partition of partitions) source.seek(topic, partition, ranges[partition]!.end)
  }
}

function* tailed(
  { topic, partition, records }: RecordBatch,
  decode: Decoder,
): Iterable<TailedRecord> {
  for (const { offset, appendMs, key, value: bytes } of records) {
    const { value, bad } = decode(bytes, appendMs)
    const time = new Date(appendMs).toISOString()
    const text = key && Buffer.from(key).toString('utf8')
    yield { topic, partition, offset, time, key: text, value: bad ? { bad } : value }
  }
}

function asJson(record: TailedRecord): string {
  return JSON.stringify(record, bytesAsBase64)
}

function asLine({ topic, partition, offset, time, key, value }: TailedRecord): string {
  const text = JSON.stringify(value, bytesAsBase64)
  return `${time} ${topic}-${partition}@${offset} ${key ?? '-'} ${text}`
}

/** The bytes of dead letters; Buffer's own JSON form is an array of numbers. */
function bytesAsBase64(_name: string, value: unknown): unknown {
  const bytes = value as { type?: string; data?: number[] } | null
  if (typeof value !== 'object' || bytes?.type !== 'Buffer') return value
  return Buffer.from(bytes.data!).toString('base64')
}
