import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, runChild } from './child.ts'
import { brokerCount } from './kafka-probe.ts'
import { mavenJars } from './maven.ts'
import type { Part, Place } from './part.ts'
import { HOST } from './ports.ts'

export const VERSION = '4.3.1'
/** Kafka's jars bring only the interface of its logger: without this it is mute. */
export const LOGGER = 'org.slf4j:slf4j-simple:1.7.36'

type Settings = Readonly<Record<string, string | number | boolean>>

/** Apache Kafka: one node that is broker and controller (KRaft). */
export const kafka: Part = kafkaNode({}, newClusterId())

/** A node with settings of its own; the nodes of a cluster share its id. */
export function kafkaNode(own: Settings, clusterId: string): Part {
  return {
    name: 'kafka',
    title: `Apache Kafka ${VERSION}`,
    release: `kafka-${VERSION}`,
    installer: 'maven',
    javaMin: 17,
    portCount: 2,
    install,
    prepare: (place) => prepare(place, own, clusterId),
    command: (place) => java(place, '-Xmx512m', 'kafka.Kafka', [settingsFile(place)]),
    probe,
    env: (place) => ({ KAFKA_BROKERS: address(place) }),
  }
}

/** An id that no other cluster has. */
export function newClusterId(): string {
  return randomBytes(16).toString('base64url')
}

function install(folder: string, signal?: AbortSignal): Promise<void> {
  const dependencies = [`org.apache.kafka:kafka_2.13:${VERSION}`, LOGGER]
  return mavenJars(kafka.title, dependencies, folder, signal)
}

async function prepare(place: Place, own: Settings, clusterId: string): Promise<void> {
  mkdirSync(place.data, { recursive: true })
  writeFileSync(settingsFile(place), settings(place, own))
  if (existsSync(join(place.data, 'log', 'meta.properties'))) return
  // One argument: an id that begins with a dash would be taken for an option.
  const args = ['format', `--cluster-id=${clusterId}`, '--config', settingsFile(place)]
  // A short-lived process: the second compiler would only cost it time.
  const format = java(place, '-XX:TieredStopAtLevel=1', 'kafka.tools.StorageTool', args)
  await runChild(format, 'format the storage of Kafka')
}

function settings(place: Place, own: Settings): string {
  const [broker, controller] = place.ports
  const lines: Settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${HOST}:${controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${HOST}:${broker},CONTROLLER://${HOST}:${controller}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${broker}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(place.data, 'log'),
    // A killed broker is let in again only when its last session is over (9 s by default).
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'auto.create.topics.enable': false,
    'message.max.bytes': 5 * 1024 * 1024,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
    ...own,
  }
  return Object.entries(lines)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

async function probe(place: Place): Promise<void> {
  const brokers = await brokerCount(HOST, place.ports[0] ?? 0)
  if (brokers === 0) throw new Error('the broker has not registered yet')
}

function java(place: Place, option: string, main: string, args: readonly string[]): Command {
  const logger = { showDateTime: true, dateTimeFormat: 'HH:mm:ss.SSS', showThreadName: false }
  const options = Object.entries(logger).map(([k, v]) => `-Dorg.slf4j.simpleLogger.${k}=${v}`)
  const path = join(place.home, 'libs', '*')
  const all = [option, ...options, '-cp', path, main, ...args]
  return { file: place.java, args: all, cwd: place.data }
}

function settingsFile(place: Place): string {
  return join(place.data, 'server.properties')
}

function address(place: Place): string {
  return `${HOST}:${place.ports[0]}`
}
