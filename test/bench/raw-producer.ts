/**
 * Appends record batches that are made already, as fast as a broker takes them: what fills a topic
 * must not be slower than what reads it, or the reader's seconds hold fewer records than a fleet's.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const PRODUCE = 0
const VERSION = 3
const ACKS = 1
const TIMEOUT_MS = 30_000

export interface RawProducer {
  /** Resolves when the broker has appended it; throws when it refuses. */
  append(topic: string, partition: number, batch: Buffer): Promise<void>
  close(): void
}

/** Connects to a broker, HOST:PORT, that leads every partition. */
export async function openRawProducer(broker: string): Promise<RawProducer> {
  const [host, port] = broker.split(':') as [string, string]
  const socket = connect({ host, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  return {
    async append(topic, partition, batch) {
      const error = await exchange(socket, requestHead(topic, partition, batch.length), batch)
      if (error !== 0) throw new Error(`${topic}-${partition}: the broker answers ${error}`)
    },
    close: () => socket.destroy(),
  }
}

/** Sends one request and gives the error code of its answer, which is as short as a read. */
async function exchange(socket: Socket, head: Buffer, batch: Buffer): Promise<number> {
  socket.write(head)
  socket.write(batch)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  // size correlation topics(1) name partitions(1) partition | error
  const nameLength = answer.readInt16BE(12)
  return answer.readInt16BE(14 + nameLength + 8)
}

/**
 * size key version correlation client | transaction acks timeout topics(1) name partitions(1)
 * partition size, and behind it the batch
 */
function requestHead(topic: string, partition: number, batchLength: number): Buffer {
  const head = Buffer.alloc(40 + topic.length)
  let at = head.writeInt32BE(head.length - 4 + batchLength, 0)
  at = head.writeInt16BE(PRODUCE, at)
  at = head.writeInt16BE(VERSION, at)
  at = head.writeInt32BE(0, at)
  at = head.writeInt16BE(-1, at)
  at = head.writeInt16BE(-1, at)
  at = head.writeInt16BE(ACKS, at)
  at = head.writeInt32BE(TIMEOUT_MS, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt16BE(topic.length, at)
  at += head.write(topic, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt32BE(partition, at)
  head.writeInt32BE(batchLength, at)
  return head
}
