import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from './child.ts'
import { mavenDependency } from './maven.ts'
import type { Part, Place } from './part.ts'
import { HOST } from './ports.ts'

const VERSION = '3.3.3'
const PROBE_TIMEOUT_MS = 2000

/** Apicurio Registry, spoken to by the Confluent API. */
export const registry: Part = {
  name: 'registry',
  title: `Apicurio Registry ${VERSION}`,
  release: `registry-${VERSION}`,
  installer: 'maven',
  javaMin: 21,
  portCount: 2,
  install,
  async prepare(place) {
    mkdirSync(place.data, { recursive: true })
  },
  command,
  probe,
  env: (place) => ({ SCHEMA_REGISTRY_URL: url(place) }),
}

async function install(folder: string, signal?: AbortSignal): Promise<void> {
  const artifact = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`
  // Without a pom the plugin writes its markers to a folder named "${project.basedir}".
  const options = [`-Dartifact=${artifact}`, '-DoutputDirectory=.', '-Dproject.basedir=.']
  await mavenDependency(registry.title, 'unpack', options, folder, signal)
  rmSync(join(folder, 'target'), { recursive: true })
}

function command(place: Place): Command {
  const [port, managementPort] = place.ports
  // The default is a database in memory: ids would change when the registry restarts. Every
  // commit goes to the disk at once, since the tests of faults kill it.
  const database = `jdbc:h2:file:${join(place.data, 'registry')};WRITE_DELAY=0`
  const settings = {
    'quarkus.http.host': HOST,
    'quarkus.http.port': port,
    'quarkus.http.access-log.enabled': false,
    'quarkus.management.host': HOST,
    'quarkus.management.port': managementPort,
    'apicurio.datasource.url': database,
    'apicurio.datasource.jdbc.initial-size': 2,
    'apicurio.datasource.jdbc.min-size': 2,
  }
  const options = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`)
  const jar = join(place.home, 'quarkus-run.jar')
  return {
    file: place.java,
    args: ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', ...options, '-jar', jar],
    cwd: place.data,
  }
}

async function probe(place: Place): Promise<void> {
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  const response = await fetch(`${url(place)}/subjects`, { signal })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`GET /subjects answers ${response.status}`)
}

function url(place: Place): string {
  return `http://${HOST}:${place.ports[0]}/apis/ccompat/v7`
}
