/** Prometheus itself, built from its Go module on first use, which takes some ten minutes. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endChild, lastLines, startChild } from '../../infra/local/child.ts'
import { HOST, pickPorts } from '../../infra/local/ports.ts'

const VERSION = '0.316.0'
const HOME = new URL(`../../.stack/prometheus-${VERSION}/`, import.meta.url).pathname
const MODULE = `github.com/prometheus/prometheus/cmd/prometheus@v${VERSION}`
const START_MS_MAX = 60_000

export interface Prometheus {
  readonly url: string
  /** The samples of an instant query: labels and value. */
  query(promql: string): Promise<readonly Sample[]>
  stop(): Promise<void>
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Throws when it is not there and cannot be built. */
function binary(log: (line: string) => void): string {
  const path = join(HOME, 'prometheus')
  if (existsSync(path)) return path
  log(`building Prometheus ${VERSION}: some ten minutes, once`)
  mkdirSync(HOME, { recursive: true })
  const env = { ...process.env, GOBIN: HOME }
  execFileSync('go', ['install', MODULE], { env, stdio: 'inherit' })
  return path
}

/** Starts it with this configuration, and with the receiver of OTLP. */
export async function startPrometheus(
  config: string,
  log: (line: string) => void,
): Promise<Prometheus> {
  const file = binary(log)
  const folder = mkdtempSync(join(tmpdir(), 'lens-prometheus-'))
  const [port] = await pickPorts(1)
  const url = `http://${HOST}:${port}`
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${HOST}:${port}`,
    '--web.enable-otlp-receiver',
  ]
  const logFile = join(folder, 'prometheus.log')
  const child = startChild({ file, args, cwd: folder }, logFile)
  const lastMs = Date.now() + START_MS_MAX
  while (!(await isReady(url))) {
    if (Date.now() > lastMs) throw new Error(`Prometheus does not start:\n${lastLines(logFile)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    url,
    async query(promql) {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(promql)}`)
      const { data, error } = (await response.json()) as Answer
      if (error) throw new Error(`${promql}: ${error}`)
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value?.[1]) }))
    },
    async stop() {
      await endChild(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Answer {
  readonly error?: string
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>
      /** Not of a native histogram. */
      readonly value?: readonly [number, string]
    }[]
  }
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  )
}
