import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { LensError } from '../../services/core/errors.ts'

export const HOST = '127.0.0.1'

// Below the range from which systems take the ports of outgoing connections: a client that dials
// a part which is down can otherwise be given that very port, connect to itself and keep it.
const PORT_MIN = 20_000
const PORT_END = 30_000
const TRIES_MAX = 500

/** Different ports that were free a moment ago. Throws LensError part_missing if there are none. */
export async function pickPorts(count: number): Promise<number[]> {
  const held: Server[] = []
  const ports: number[] = []
  for (let tries = 0; tries < TRIES_MAX && ports.length < count; tries++) {
    const port = randomInt(PORT_MIN, PORT_END)
    const server = await hold(port)
    if (!server) continue
    held.push(server)
    ports.push(port)
  }
  await Promise.all(held.map(release))
  if (ports.length === count) return ports
  const range = `${PORT_MIN} to ${PORT_END - 1}`
  throw new LensError('part_missing', `no ${count} free ports from ${range} on ${HOST}`)
}

/** Whether nobody listens on any of the ports. */
export async function allFree(ports: readonly number[]): Promise<boolean> {
  const held = await Promise.all(ports.map(hold))
  await Promise.all(held.map((server) => server && release(server)))
  return held.every((server) => server !== null)
}

function hold(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ port, host: HOST }, () => resolve(server))
  })
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
