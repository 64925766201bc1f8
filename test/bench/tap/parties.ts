/** The engine, the proxies before it and the client, each a process of its own. */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pickPorts } from '../../../infra/local/ports.ts'
import type { Asked, Seen } from './client.ts'

export interface Party {
  readonly port: number
  /** Whose CPU time is the party's. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

/** Starts the engine; `controlPort` is where its client asks for more. */
export async function startEngine(): Promise<Party & { readonly controlPort: number }> {
  const { said, ...party } = await startNode('server.ts', [])
  return { ...party, controlPort: said.controlPort! }
}

/** Starts a proxy written for Node: `collector.ts`, which may write its records, or `pipe.ts`. */
export async function startNodeProxy(
  file: string,
  upstreamPort: number,
  recordsFile?: string,
): Promise<Party> {
  return await startNode(file, [String(upstreamPort), ...(recordsFile ? [recordsFile] : [])])
}

async function startNode(file: string, argv: readonly string[]) {
  const child = fork(new URL(file, import.meta.url).pathname, argv)
  const [said] = (await Promise.race([once(child, 'message'), failed(child, file)])) as [
    { readonly port: number; readonly controlPort?: number },
  ]
  return {
    said,
    port: said.port,
    pids: [child.pid!],
    stop: () => dismissed(child),
  }
}

/** Each of these processes ends when it is left alone. */
async function dismissed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

/** What nginx is told: pass every byte on as it comes, and nothing else. */
function nginxConfig(folder: string, port: number, upstreamPort: number): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  ${kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
  upstream engine { server 127.0.0.1:${upstreamPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`
}

/** Starts nginx; null when there is none on this machine. */
export async function startNginx(upstreamPort: number): Promise<Party | null> {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
  try {
    execFileSync('nginx', ['-v'], { env, stdio: 'ignore' })
  } catch {
    return null
  }
  const folder = mkdtempSync(join(tmpdir(), 'lens-nginx-'))
  const [port] = (await pickPorts(1)) as [number]
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, nginxConfig(folder, port, upstreamPort))
  const stdio = ['ignore', 'ignore', 'inherit'] as const
  const child = spawn('nginx', ['-c', file, '-e', 'stderr'], { env, stdio: [...stdio] })
  await Promise.race([untilListening(port), failed(child, 'nginx')])
  const workers = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
  return {
    port,
    pids: [child.pid!, ...workers.trim().split(' ').map(Number)],
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Lets a client measure one proxy. */
export async function measure(asked: Asked): Promise<Seen> {
  const child = fork(new URL('client.ts', import.meta.url).pathname, [JSON.stringify(asked)])
  const [seen] = await Promise.race([once(child, 'message'), failed(child, 'client.ts')])
  await dismissed(child)
  return seen as Seen
}

async function failed(child: ChildProcess, name: string): Promise<never> {
  const [code, signal] = await once(child, 'exit')
  throw new Error(`${name} ended with ${code ?? signal}`)
}

async function untilListening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const listening = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (listening) return
    await sleep(20)
  }
}
