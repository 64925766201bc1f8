/**
 * The engine behind the proxies: streams as many chunks as its client asks for. `?stream=N` gets
 * its next chunk when the client has the last one; with `&every_ms=M`, so often.
 */

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { chunkSentAt, nowUs } from './chunk.ts'

const streams = new Map<number, Socket>()
const paced = { streams: [] as Socket[], everyMs: 0, sinceUs: 0, sent: 0 }

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => open(new URL(request.url!, 'http://engine').searchParams, response))
})

function open(asked: URLSearchParams, response: ServerResponse): void {
  // The framing is in the chunks: one write each, as an engine flushes them.
  const socket = response.socket!
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Transfer-Encoding': 'chunked' })
  response.flushHeaders()
  const stream = Number(asked.get('stream'))
  const everyMs = Number(asked.get('every_ms'))
  if (everyMs > 0) pace(socket, everyMs)
  else {
    streams.set(stream, socket)
    socket.on('close', () => {
      if (streams.get(stream) === socket) streams.delete(stream)
    })
    send(socket)
  }
}

function send(socket: Socket | undefined): void {
  if (socket?.writable) socket.write(chunkSentAt(nowUs()), 'latin1')
}

function pace(socket: Socket, everyMs: number): void {
  restart([...paced.streams, socket], everyMs)
  socket.on('close', () => {
    const left = paced.streams.filter((other) => other !== socket)
    restart(left, everyMs)
  })
}

function restart(streams: Socket[], everyMs: number): void {
  Object.assign(paced, { streams, everyMs, sinceUs: nowUs(), sent: 0 })
}

/** Round and round over all streams, so that their chunks are spread evenly over the time. */
setInterval(() => {
  const { streams, everyMs, sinceUs } = paced
  if (streams.length === 0) return
  const due = Math.floor(((nowUs() - sinceUs) / 1000 / everyMs) * streams.length)
  for (; paced.sent < due; paced.sent++) send(streams[paced.sent % streams.length])
}, 1)

/** The client names here, in two bytes each, the streams of which it has got a chunk. */
const control = createTcpServer({ noDelay: true }, (socket) => {
  let half = -1
  socket.on('data', (bytes) => {
    for (const byte of bytes) {
      if (half < 0) half = byte
      else {
        send(streams.get(half * 256 + byte))
        half = -1
      }
    }
  })
  socket.on('error', () => {})
})

async function listen(one: typeof control | typeof server): Promise<number> {
  await once(one.listen(0, '127.0.0.1'), 'listening')
  return (one.address() as AddressInfo).port
}

const [port, controlPort] = await Promise.all([listen(server), listen(control)])
process.send!({ port, controlPort })
process.on('disconnect', () => process.exit())
