import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { LensError } from '../core/errors.ts'

/** A server that listens. */
export interface Listening {
  readonly url: string
  /** Ends it and whoever is connected to it. */
  stop(): Promise<void>
}

/** Lets a server listen like listen(), until it is stopped. */
export async function serve(
  server: HttpServer,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Listening> {
  const url = await listen(server, host, port)
  return { url, stop: () => close(server) }
}

/** Ends a server and whoever is connected to it. */
export async function close(server: HttpServer): Promise<void> {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
}

/**
 * Lets a server listen, on any free port if it is 0; its URL. Throws LensError
 * configuration_invalid when it cannot.
 */
export async function listen(server: Server, host: string, port: number): Promise<string> {
  await once(server.listen(port, host), 'listening').catch((cause: Error) => {
    const message = `cannot listen on ${host} port ${port}: ${cause.message}`
    throw new LensError('configuration_invalid', message, { cause })
  })
  const name = host.includes(':') ? `[${host}]` : host
  return `http://${name}:${(server.address() as AddressInfo).port}`
}
