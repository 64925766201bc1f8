/** The Kafka Streams application of StreamsPeer.java as a process: its jars, its start, its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { installPart, isInstalled } from '../../../infra/local/install.ts'
import { kafka, LOGGER, VERSION } from '../../../infra/local/kafka.ts'
import { mavenJars } from '../../../infra/local/maven.ts'
import { checkTools } from '../../../infra/local/tools.ts'

const JARS = {
  title: `Kafka Streams ${VERSION}`,
  release: `kafka-streams-${VERSION}`,
  install: (folder: string, signal?: AbortSignal) =>
    mavenJars(JARS.title, [`org.apache.kafka:kafka-streams:${VERSION}`, LOGGER], folder, signal),
}

export interface PeerOptions {
  readonly brokers: string
  /** Its consumer group too. */
  readonly application: string
  /** As StreamsPeer.java tells them apart. */
  readonly form: 'windowing' | 'both' | 'dsl'
  readonly threads: number
  readonly stateFolder: string
}

export interface Peer {
  stop(): Promise<void>
}

/** Starts it; the first start downloads its jars. */
export async function startPeer(options: PeerOptions, log: (line: string) => void): Promise<Peer> {
  const java = await checkTools([kafka], isInstalled)
  const home = await installPart(JARS, log)
  const { brokers, application, form, threads, stateFolder } = options
  const source = new URL('StreamsPeer.java', import.meta.url).pathname
  const argv = [brokers, application, form, stateFolder, String(threads)]
  const settings = ['-Xmx2g', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
  const all = [...settings, '-cp', join(home, 'libs', '*'), source, ...argv]
  const child = spawn(java, all, { stdio: ['ignore', 'pipe', 'pipe'] })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      output += bytes
    })
  }
  while (!output.includes('running')) {
    if (child.exitCode !== null) throw new Error(`Kafka Streams did not start:\n${output}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { stop: () => stop(child, end) }
}

async function stop(child: ChildProcess, end: () => void): Promise<void> {
  process.off('exit', end)
  if (child.exitCode !== null) throw new Error(`Kafka Streams ended with ${child.exitCode}`)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(timer)
}
