import { connect } from 'node:net'

const METADATA_KEY = 3
const METADATA_VERSION = 1
const TIMEOUT_MS = 2000

/**
 * How many brokers a Kafka server knows, itself included once it takes records. Asked by hand,
 * since a client would retry and warn where we only want to know. Throws if it does not answer.
 *
 *   request   size:4 key:2 version:2 correlation:4 client=null:2 topics=[]:4
 *   response  size:4 correlation:4 broker count:4 ...
 */
export function brokerCount(host: string, port: number): Promise<number> {
  const request = Buffer.alloc(18)
  request.writeInt32BE(request.length - 4, 0)
  request.writeInt16BE(METADATA_KEY, 4)
  request.writeInt16BE(METADATA_VERSION, 6)
  request.writeInt16BE(-1, 12)
  return new Promise((resolve, reject) => {
    let response = Buffer.alloc(0)
    const socket = connect({ host, port }, () => socket.write(request))
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no answer')))
    socket.on('data', (bytes) => {
      response = Buffer.concat([response, bytes])
      if (response.length < 12) return
      resolve(response.readInt32BE(8))
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the connection was closed')))
  })
}
