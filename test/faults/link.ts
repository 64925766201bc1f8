/** A small TCP proxy between one service and one server, which can be made to misbehave. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { HOST } from '../../infra/local/ports.ts'

/** What a link does to what passes; all but `pass` until it is told otherwise. */
export type LinkMode = 'pass' | 'cut' | 'half-open' | 'replies-lost' | 'slow' | 'late'

export interface Link {
  readonly port: number
  set(mode: LinkMode): void
  /** Resets every connection. */
  reset(): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

const LATE_MS = 300
const SLOW_BYTES = 4_096
const SLOW_EVERY_MS = 100

/** Listens on `port` and forwards to `target` on this machine. */
export async function openLink(port: number, target: number): Promise<Link> {
  const pairs = new Set<Pair>()
  let mode: LinkMode = 'pass'

  function reset(): void {
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
    pairs.clear()
  }

  const listener = createServer((client) => {
    if (mode === 'cut') {
      client.resetAndDestroy()
      return
    }
    const pair = { client, server: connect(target, HOST) }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      pair.server.destroy()
    }
    for (const socket of [client, pair.server]) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
    }
    pump(client, pair.server, () => (mode === 'half-open' ? 'drop' : mode))
    pump(pair.server, client, () => {
      return mode === 'half-open' || mode === 'replies-lost' ? 'drop' : mode
    })
  })
  await listen(listener, port)
  return {
    port,
    set(next) {
      // What was swallowed leaves a stream with a hole: such connections cannot go on.
      const swallowed = mode === 'half-open' || mode === 'replies-lost'
      mode = next
      if (next === 'cut' || swallowed) reset()
    },
    reset,
    close() {
      reset()
      return new Promise((resolve) => listener.close(() => resolve()))
    },
  }
}

/** Passes bytes on, in order, as the mode of the moment says. */
function pump(from: Socket, to: Socket, modeNow: () => LinkMode | 'drop'): void {
  let tail = Promise.resolve()
  from.on('data', (bytes) => {
    const mode = modeNow()
    if (mode === 'drop') return
    from.pause()
    tail = tail.then(async () => {
      if (mode === 'late') await wait(LATE_MS)
      const size = mode === 'slow' ? SLOW_BYTES : bytes.length
      for (let at = 0; at < bytes.length && to.writable; at += size) {
        to.write(bytes.subarray(at, at + size))
        if (mode === 'slow') await wait(SLOW_EVERY_MS)
      }
      from.resume()
    })
  })
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, HOST, () => resolve())
  })
}
