import { LensError } from '../core/errors.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Codec, createCodec, readSchemas } from './codec.ts'
import { createKafkaBus } from './kafka.ts'
import { createMemoryBus } from './memory.ts'
import type { Bus } from './port.ts'
import { createConfluentRegistry, createFileRegistry } from './registry.ts'

/** What every service stands on. */
export interface Platform {
  readonly bus: Bus
  readonly codec: Codec
  readonly clock: Clock
  readonly log: (line: string) => void
}

export interface PlatformConfig {
  readonly kafkaBrokers: string
  readonly schemaRegistryUrl: string
}

/** Kafka and a registry when brokers are named, else the bus inside this process. */
export async function openPlatform(
  { kafkaBrokers, schemaRegistryUrl }: PlatformConfig,
  clientId: string,
  log: (line: string) => void,
): Promise<Platform> {
  const clock = systemClock
  if (!kafkaBrokers) {
    const codec = await createCodec(createFileRegistry(readSchemas()), () => clock.monotonicMs())
    // A later run must not write over the files of this one.
    const bus = createMemoryBus({ clock, automatic: true, firstOffset: clock.nowMs() })
    return { bus, codec, clock, log }
  }
  if (!schemaRegistryUrl) {
    const message = 'with KAFKA_BROKERS, SCHEMA_REGISTRY_URL must name a schema registry too'
    throw new LensError('configuration_invalid', message)
  }
  const brokers = kafkaBrokers.split(',').map((broker) => broker.trim())
  const codec = await createCodec(createConfluentRegistry(schemaRegistryUrl), () =>
    clock.monotonicMs(),
  )
  return { bus: createKafkaBus({ brokers, clientId, log }), codec, clock, log }
}
