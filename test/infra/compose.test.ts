import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile?: string }
  readonly command?: readonly string[]
  readonly restart?: string
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
}

const ROOT = join(import.meta.dirname, '../..')
const OURS = ['collector', 'windowing', 'statistics', 'triggers', 'exporter', 'engine']
const ONE_SHOT = ['topics']
const COMPOSE_COMMANDS = [['docker-compose'], ['docker', 'compose']]

const file = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true })
const services = Object.entries(file.services as Record<string, Service>)

describe('docker-compose.yml', () => {
  it('runs every service of ours, each by its own main file', () => {
    for (const name of OURS) {
      const service = services.find(([key]) => key === name)?.[1]
      expect(service?.command, name).to.deep.equal([`services/${name}/main.ts`])
      expect(service?.build?.dockerfile, name).to.equal('infra/docker/Dockerfile')
    }
  })

  it('pins every image', () => {
    const images = services.flatMap(([, service]) => imagesOf(service))
    expect(images).to.include('apache/kafka:4.3.1')
    for (const image of images) expect(image).to.match(/^[a-z0-9./-]+:v?\d+\.\d+[\w.-]*$/)
  })

  it('checks the health of every service that stays, and restarts it', () => {
    for (const [name, service] of services.filter(([key]) => !ONE_SHOT.includes(key))) {
      expect(service.healthcheck?.test?.[0], `health check of ${name}`).to.equal('CMD')
      expect(service.restart, `restart of ${name}`).to.equal('unless-stopped')
    }
  })

  it('binds every port to this machine alone', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? [])
    expect(ports).not.to.be.empty
    for (const port of ports) expect(port).to.match(/^127\.0\.0\.1:\d+:\d+$/)
  })

  it('mounts only files that exist and volumes that are named', () => {
    const sources = services.flatMap(([, service]) => service.volumes ?? []).map(sourceOf)
    const paths = sources.filter((source) => source.startsWith('./'))
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).to.deep.equal([])
    const volumes = sources.filter((source) => !source.startsWith('./'))
    expect(volumes.sort()).to.deep.equal(Object.keys(file.volumes).sort())
  })

  const compose = COMPOSE_COMMANDS.find((command) => runCompose(command, 'version').status === 0)

  // Where it is not installed the test is not there, rather than skipped; in CI it must be there.
  if (compose || process.env.CI) {
    it('is accepted by docker-compose', () => {
      expect(compose, 'docker-compose must be on PATH in CI; install it').not.equal(undefined)
      const answer = runCompose(compose!, 'config', '-q')
      expect(answer.status, answer.stderr).to.equal(0)
    }).timeout(20_000)
  }
})

function runCompose(command: readonly string[], ...args: string[]) {
  const [program = '', ...first] = command
  return spawnSync(program, [...first, ...args], { cwd: ROOT, encoding: 'utf8' })
}

/** The image of a service, or those that its Dockerfile starts from. */
function imagesOf(service: Service): string[] {
  if (!service.build) return [service.image ?? '(none)']
  const { context, dockerfile = 'Dockerfile' } = service.build
  const text = readFileSync(join(ROOT, context, dockerfile), 'utf8')
  return [...text.matchAll(/^FROM (\S+)/gm)].map((match) => match[1] ?? '(none)')
}

function sourceOf(volume: string): string {
  return volume.split(':')[0] ?? ''
}
