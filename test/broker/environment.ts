/**
 * The real servers that broker tests run against: one set for the whole mocha process, stopped
 * when it ends. `before` hooks that await it need this.timeout(ENVIRONMENT_TIMEOUT_MS).
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KafkaContainer } from '@testcontainers/kafka'
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers'
import type { PartName } from '../../infra/local/part.ts'
import { type Stack, startStack } from '../../infra/local/stack.ts'

export interface TestEnvironment {
  /** KAFKA_BROKERS, SCHEMA_REGISTRY_URL, LAKE_URL and the AWS_ variables of an S3 server. */
  readonly env: Readonly<Record<string, string>>
  /** Ends what was started. The end of the run calls it; a test need not. */
  stop(): Promise<void>
  /** Kills and restarts parts; null when the brokers are not ours or run in containers. */
  readonly stack: Stack | null
}

/** A first run downloads the servers. */
export const ENVIRONMENT_TIMEOUT_MS = 300_000

const KAFKA_IMAGE = 'confluentinc/cp-kafka:8.2.2'
const REGISTRY_IMAGE = 'apicurio/apicurio-registry:3.3.3'
const LAKE_IMAGE = 'chrislusf/seaweedfs:4.48'
const LAKE_KEYS = { AWS_ACCESS_KEY_ID: 'lens', AWS_SECRET_ACCESS_KEY: 'lens-local-secret' }

const DOCKER_TIMEOUT_MS = 5000
const STOP_TIMEOUT_MS = 30_000

let shared: Promise<TestEnvironment> | null = null

/**
 * The servers named by the environment; else containers, where Docker works; else processes on
 * this machine. The same ones at every call. Throws when none can be had: a broker test that is
 * skipped proves nothing.
 */
export function testEnvironment(): Promise<TestEnvironment> {
  shared ??= start()
  return shared
}

after(async function () {
  this.timeout(STOP_TIMEOUT_MS)
  // A start that failed has told every test already.
  const environment = await shared?.catch(() => null)
  await environment?.stop()
})

async function start(): Promise<TestEnvironment> {
  if (process.env.KAFKA_BROKERS) return startMissing(process.env.KAFKA_BROKERS)
  if (await dockerWorks()) return startContainers()
  return startLocal(['kafka', 'registry', 's3'])
}

/** Brokers from outside; the other servers too, as far as the environment names them. */
async function startMissing(brokers: string): Promise<TestEnvironment> {
  const env: Record<string, string> = { KAFKA_BROKERS: brokers }
  for (const [name, value] of Object.entries(process.env)) {
    if (/^(SCHEMA_REGISTRY_|LAKE_|AWS_)/.test(name) && value) env[name] = value
  }
  const parts: PartName[] = []
  if (!env.SCHEMA_REGISTRY_URL) parts.push('registry')
  if (!env.LAKE_URL) parts.push('s3')
  const local = await startLocal(parts)
  return { env: { ...env, ...local.env }, stop: local.stop, stack: null }
}

async function startLocal(parts: readonly PartName[]): Promise<TestEnvironment> {
  const dataFolder = mkdtempSync(join(tmpdir(), 'lens-stack-'))
  const discard = () => rmSync(dataFolder, { recursive: true, force: true })
  process.once('exit', discard)
  const log = (line: string) => process.stderr.write(`    ${line}\n`)
  const stack = await startStack({ parts, dataFolder, log })
  return { env: stack.env, stop: () => stack.stop(), stack }
}

/** The same servers as infra/local/ runs, in containers. */
async function startContainers(): Promise<TestEnvironment> {
  const kafkaSettings = {
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    KAFKA_MESSAGE_MAX_BYTES: '5242880',
    KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '1000',
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
  }
  const [kafka, registry, lake] = await Promise.all([
    new KafkaContainer(KAFKA_IMAGE).withKraft().withEnvironment(kafkaSettings).start(),
    new GenericContainer(REGISTRY_IMAGE)
      .withExposedPorts(8080)
      .withWaitStrategy(Wait.forHttp('/apis/ccompat/v7/subjects', 8080))
      .start(),
    new GenericContainer(LAKE_IMAGE)
      .withCommand(['mini', '-dir=/data', '-bucket=lake', '-ip=127.0.0.1', '-ip.bind=0.0.0.0'])
      .withEnvironment(LAKE_KEYS)
      .withExposedPorts(8333)
      .withWaitStrategy(Wait.forHttp('/healthz', 8333))
      .start(),
  ])
  const address = (container: StartedTestContainer, port: number) =>
    `${container.getHost()}:${container.getMappedPort(port)}`
  return {
    env: {
      KAFKA_BROKERS: address(kafka, 9093),
      SCHEMA_REGISTRY_URL: `http://${address(registry, 8080)}/apis/ccompat/v7`,
      LAKE_URL: 's3://lake',
      AWS_ENDPOINT_URL_S3: `http://${address(lake, 8333)}`,
      AWS_REGION: 'us-east-1',
      ...LAKE_KEYS,
    },
    async stop() {
      await Promise.all([kafka.stop(), registry.stop(), lake.stop()])
    },
    stack: null,
  }
}

async function dockerWorks(): Promise<boolean> {
  try {
    const options = { timeout: DOCKER_TIMEOUT_MS }
    await promisify(execFile)('docker', ['info', '--format', '{{.ServerVersion}}'], options)
    return true
  } catch {
    return false
  }
}
