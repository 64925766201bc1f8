/** An OTLP endpoint whose server and decoder we did not write. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endChild, startChild } from '../../infra/local/child.ts'
import { HOST } from '../../infra/local/ports.ts'
import { OTLP_PROTO, pythonWith } from '../services/formats/python.ts'

/** Counts ended requests of a window by status. */
const METRIC = 'latency_lens.requests'
const SCRIPT = new URL('otlp_receiver.py', import.meta.url).pathname
const START_MS_MAX = 20_000

export interface OtlpReceiver {
  readonly port: number
  /** Each different point of latency_lens.requests, and how often it came. */
  received(): Promise<readonly (readonly [point: OtlpRequests, times: number])[]>
  stop(): Promise<void>
}

export type OtlpRequests = readonly [
  labels: Readonly<Record<string, string>>,
  endMs: number,
  value: number,
]

/** Starts it; its log goes into the folder. */
export async function startOtlpReceiver(port: number, folder: string): Promise<OtlpReceiver> {
  const python = await pythonWith(OTLP_PROTO)
  const url = `http://${HOST}:${port}/`
  const command = { file: python, args: [SCRIPT, String(port), METRIC] }
  const child = startChild(command, join(folder, 'otlp.log'))
  const lastMs = Date.now() + START_MS_MAX
  while (!(await fetch(url).catch(() => null))) {
    if (Date.now() > lastMs) throw new Error('the OTLP receiver does not answer')
    await sleep(100)
  }
  return {
    port,
    received: async () =>
      (await (await fetch(url)).json()) as Awaited<ReturnType<OtlpReceiver['received']>>,
    stop: () => endChild(child).then(() => {}),
  }
}
