import { openPlatform, type Platform, type PlatformConfig } from '../bus/platform.ts'
import { LensError } from '../core/errors.ts'

/** The platform of a command, which makes sense on a real Kafka only. */
export function openKafkaPlatform(config: PlatformConfig): Promise<Platform> {
  if (!config.kafkaBrokers) {
    const message =
      'KAFKA_BROKERS is not set; npm run stack starts a Kafka here and prints what to set'
    throw new LensError('configuration_invalid', message)
  }
  return openPlatform(config, 'lens', (line) => process.stderr.write(`${line}\n`))
}
