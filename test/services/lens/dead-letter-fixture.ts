/** A memory bus with dead letters in it, and what the commands write. */
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createBrokerClock } from '../../../services/bus/clock.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { type BadRecord, createPublisher } from '../../../services/bus/publisher.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { type ListWish, listDeadLetters } from '../../../services/lens/dead-letter-list.ts'
import type { Write } from '../../../services/lens/dead-letter-scan.ts'
import { NOON_MS } from '../../records.ts'
import { createRecordingBus, type RecordingBus } from '../bus/recording-bus.ts'

export const PARTITIONS = 3
export const MIB = 1024 * 1024

interface Bad {
  readonly topic?: string
  readonly partition?: number
  readonly offset: number
  readonly reason?: BadRecord['reason']
  readonly key?: Uint8Array | null
  readonly value?: Uint8Array | null
}

export interface DeadLetterFixture {
  readonly recording: RecordingBus
  readonly codec: Codec
  readonly write: Write
  /** All that was written, as text; as bytes. */
  text(): string
  bytes(): Buffer
  /** Writes dead letters as a stage does. */
  refuse(bads: readonly Bad[], stage?: string): Promise<void>
  /** What `list` alone writes. */
  list(more?: Partial<ListWish>): Promise<string>
}

export async function createDeadLetterFixture(): Promise<DeadLetterFixture> {
  const codec = await createCodec(createFileRegistry(readSchemas()), () => 0)
  const recording = await createRecordingBus(PARTITIONS, { automatic: true })
  const { clock, memory: bus } = recording
  const output: (string | Uint8Array)[] = []

  async function refuse(bads: readonly Bad[], stage = 'windowing'): Promise<void> {
    const brokerClock = createBrokerClock(clock)
    const publisher = createPublisher({ bus, codec, clock, brokerClock, log: () => {} })
    const records = bads.map(({ offset, reason = 'bad_magic', ...bad }): BadRecord => {
      const { topic = TOKEN_EVENTS, partition = 0, key = Buffer.from('k') } = bad
      const value = bad.value === undefined ? Buffer.from(`bad ${offset}`) : bad.value
      return {
        topic,
        partition,
        record: { offset, appendMs: NOON_MS + offset, key, value },
        reason,
      }
    })
    await publisher.deadLetters(stage, records, { clock, log: () => {}, isStopped: () => false })
    await publisher.close()
  }

  return {
    recording,
    codec,
    write: (some) => void output.push(some),
    text: () => output.join(''),
    bytes: () => Buffer.concat(output.map((some) => Buffer.from(some))),
    refuse,
    async list(more = {}) {
      const lines: string[] = []
      const wish = { limit: 100, json: false, ...more }
      await listDeadLetters({ bus, codec }, wish, (line) => void lines.push(String(line)))
      return lines.join('')
    },
  }
}

/** What work fails with; null when it does not. */
export function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  )
}
