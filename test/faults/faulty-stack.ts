/** Real servers, each reached by every service over a link of its own. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ended, signalGroup } from '../../infra/local/child.ts'
import { installPart, isInstalled } from '../../infra/local/install.ts'
import { kafka } from '../../infra/local/kafka.ts'
import type { Part, Place } from '../../infra/local/part.ts'
import { HOST, pickPorts } from '../../infra/local/ports.ts'
import { startStack } from '../../infra/local/stack.ts'
import { endPart, startPart } from '../../infra/local/start-part.ts'
import { checkTools } from '../../infra/local/tools.ts'
import { type Link, openLink } from './link.ts'
import { type OtlpReceiver, startOtlpReceiver } from './otlp-receiver.ts'

/** What a service is connected to, each over a link of its own. */
export type Links = Readonly<Record<'kafka' | 'registry' | 's3' | 'otlp', Link>>

export interface FaultyStack {
  /** By which a test reaches the servers, past every link. */
  readonly env: Readonly<Record<string, string>>
  /** By which a service reaches them, over its own links. */
  envOf(service: string): Readonly<Record<string, string>>
  linksOf(service: string): Links
  readonly otlp: OtlpReceiver
  /** kill -9; the broker is back after so long. */
  killBroker(awayMs: number): Promise<void>
  stop(): Promise<void>
}

/** Kafka tells its clients where it is: it has one listener for each service, behind its link. */
function kafkaBehind(listeners: readonly { port: number; link: number }[]): Part {
  const each = (line: (listener: { port: number; link: number }, i: number) => string) =>
    listeners.map(line).join(',')
  return {
    ...kafka,
    async prepare(place: Place) {
      await kafka.prepare(place)
      const [broker, controller] = place.ports
      const own = `PLAINTEXT://${HOST}:${broker}`
      const lines = [
        `listeners=${own},CONTROLLER://${HOST}:${controller},${each(({ port }, i) => `S${i}://${HOST}:${port}`)}`,
        `advertised.listeners=${own},${each(({ link }, i) => `S${i}://${HOST}:${link}`)}`,
        `listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,${each((_, i) => `S${i}:PLAINTEXT`)}`,
      ]
      // The last line of a key is the one that counts.
      appendFileSync(join(place.data, 'server.properties'), `${lines.join('\n')}\n`)
    },
  }
}

/** Starts the servers, an OTLP receiver among them, and links of each service to them. */
export async function startFaultyStack(
  services: readonly string[],
  log: (line: string) => void,
): Promise<FaultyStack> {
  const folder = mkdtempSync(join(tmpdir(), 'lens-faults-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const parts = ['registry', 's3'] as const
  const others = await startStack({ parts, dataFolder: join(folder, 'others'), log })
  const java = await checkTools([kafka], isInstalled)
  const home = await installPart(kafka, log)
  const ports = await pickPorts(3 + 5 * services.length)
  const own = ports.splice(0, 2)
  const otlp = await startOtlpReceiver(ports.pop()!, folder)
  const listeners = services.map(() => ({ port: ports.pop()!, link: ports.pop()! }))
  const behind = kafkaBehind(listeners)
  const place: Place = { home, java, data: join(folder, 'kafka'), ports: own }
  let child = await startPart(behind, place)
  const env = { ...others.env, ...kafka.env(place) }
  const registryPort = Number(new URL(env.SCHEMA_REGISTRY_URL!).port)
  const s3Port = Number(new URL(env.AWS_ENDPOINT_URL_S3!).port)
  const links = new Map<string, Links>()
  for (const [i, service] of services.entries()) {
    const { port, link } = listeners[i]!
    links.set(service, {
      kafka: await openLink(link, port),
      registry: await openLink(ports.pop()!, registryPort),
      s3: await openLink(ports.pop()!, s3Port),
      otlp: await openLink(ports.pop()!, otlp.port),
    })
  }
  return {
    env,
    otlp,
    linksOf: (service) => links.get(service)!,
    envOf(service) {
      const { kafka, registry, s3, otlp } = links.get(service)!
      const behindLink = (url: string, link: Link) => url.replace(/:\d+/, `:${link.port}`)
      return {
        ...env,
        KAFKA_BROKERS: `${HOST}:${kafka.port}`,
        SCHEMA_REGISTRY_URL: behindLink(env.SCHEMA_REGISTRY_URL!, registry),
        AWS_ENDPOINT_URL_S3: behindLink(env.AWS_ENDPOINT_URL_S3!, s3),
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://${HOST}:${otlp.port}`,
      }
    },
    async killBroker(awayMs) {
      signalGroup(child, 'SIGKILL')
      await ended(child)
      await new Promise((resolve) => setTimeout(resolve, awayMs))
      child = await startPart(behind, place)
    },
    async stop() {
      const all = [...links.values()].flatMap((each) => Object.values(each))
      await Promise.all(all.map((link) => link.close()))
      await Promise.all([endPart(behind, place, child), otlp.stop()])
      await others.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
