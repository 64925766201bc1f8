/** Prometheus itself, built from its Go module on first use, which takes some ten minutes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endChild, lastLines, startChild } from '../../infra/local/child.ts'
import { HOST, pickPorts } from '../../infra/local/ports.ts'
import { goProgram } from './go-program.ts'

const VERSION = '0.316.0'
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

/** Starts it with this configuration, and with the receiver of OTLP. */
export async function startPrometheus(config: string): Promise<Prometheus> {
  const file = goProgram(`prometheus-${VERSION}`, 'prometheus', (home, go) => {
    go(['go', 'install', MODULE], home)
  })
  const folder = mkdtempSync(join(tmpdir(), 'lens-prometheus-'))
  const [port] = await pickPorts(1)
  const url = `http://${HOST}:${port}`
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${HOST}:${port}`,
    '--web.enable-otlp-receiver',
    '--enable-feature=exemplar-storage',
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
