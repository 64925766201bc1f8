/** Sends token events at a steady rate, as they would happen now, until it is left alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createCodec } from '../../../services/bus/codec.ts'
import { createConfluentRegistry } from '../../../services/bus/registry.ts'
import { movable, movedTo } from '../movable.ts'
import { batchOf } from '../prefill.ts'
import { openRawProducer } from '../raw-producer.ts'
import { requests } from '../requests.ts'
import { PROBES, probeDueMs, probeRecord } from './probes.ts'

export interface LoadOptions {
  readonly seed: number
  readonly chunksPerSecond: number
  readonly series: number
  readonly partitions: number
}

/** First that it is ready, since when; then, once a second, the share of the load that is sent. */
export type LoadSaid = { readonly sinceMs: number } | { readonly keptUp: number }

const CHUNKS_PER_RECORD = 50
const POOL = 20_000
const TICK_MS = 50
/** Of one partition in one send: half a megabyte. */
const SEND_RECORDS_MAX = 1_500
/** Records of one partition that wait for a broker that is too slow; more are left out. */
const WAITING_MAX = 100_000

const options = JSON.parse(process.argv[2]!) as LoadOptions
const { seed, series, partitions } = options
const perSecond = options.chunksPerSecond / CHUNKS_PER_RECORD
const codec = await createCodec(createConfluentRegistry(process.env.SCHEMA_REGISTRY_URL!), Date.now)
const made = requests({
  ...{ seed, series, records: POOL, chunksPerRecord: CHUNKS_PER_RECORD },
  startUs: Date.now() * 1000,
  spanUs: 1e6,
})
const pool = made.map((record) => movable(codec.encode(TOKEN_EVENTS, record), record))
// What makes the load is on the processors that bear it: batches are written, not a client's.
const producers = await Promise.all(
  Array.from({ length: partitions }, () => openRawProducer(process.env.KAFKA_BROKERS!)),
)
const waiting: Buffer[][] = producers.map(() => [])
const busy = new Array<boolean>(partitions).fill(false)
const probeRecords = new Array<number>(PROBES).fill(0)
let sent = 0

process.on('disconnect', () => process.exit())
const sinceMs = Date.now()
let due = 0
let probesDue = 0
let toldMs = sinceMs
say({ sinceMs })
for (;;) {
  addDue(Date.now())
  for (let partition = 0; partition < partitions; partition++) void send(partition)
  if (Date.now() - toldMs >= 1_000) {
    toldMs = Date.now()
    say({ keptUp: sent / (due + probesDue) })
  }
  await sleep(TICK_MS)
}

/** Whoever listens may have gone. */
function say(said: LoadSaid): void {
  process.send?.(said, undefined, undefined, () => {})
}

function addDue(nowMs: number): void {
  for (let probe = 0; probe < PROBES; probe++) {
    for (; probeDueMs(probe, probeRecords[probe]!, sinceMs) <= nowMs; probeRecords[probe]!++) {
      const record = probeRecord(probe, probeRecords[probe]!, sinceMs)
      probesDue++
      waiting[probe % partitions]!.push(Buffer.from(codec.encode(TOKEN_EVENTS, record)))
    }
  }
  const records = Math.floor(((nowMs - sinceMs) / 1000) * perSecond)
  for (; due < records; due++) {
    const partition = due % partitions
    if (waiting[partition]!.length >= WAITING_MAX) continue
    const record = pool[due % POOL]!
    const atUs = Math.floor(sinceMs * 1000 + (due / perSecond) * 1e6)
    waiting[partition]!.push(movedTo(record, atUs - record.spanUs))
  }
}

async function send(partition: number): Promise<void> {
  if (busy[partition] || waiting[partition]!.length === 0) return
  busy[partition] = true
  while (waiting[partition]!.length > 0) {
    const values = waiting[partition]!.splice(0, SEND_RECORDS_MAX)
    await producers[partition]!.append(TOKEN_EVENTS, partition, batchOf(values))
    sent += values.length
  }
  busy[partition] = false
}
