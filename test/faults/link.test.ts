import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { HOST, pickPorts } from '../../infra/local/ports.ts'
import { type Link, openLink } from './link.ts'

describe('faults/link', () => {
  let server: Server
  let link: Link
  let received: string
  const clients: Socket[] = []

  beforeEach(async () => {
    received = ''
    server = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        received += String(bytes)
        socket.write(`echo ${bytes}`)
      })
    })
    const [port, target] = await pickPorts(2)
    server.listen(target, HOST)
    await once(server, 'listening')
    link = await openLink(port!, target!)
  })

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    await link.close()
    server.close()
  })

  /** A connection through the link, and what came back on it. */
  async function client() {
    const socket = connect(link.port, HOST)
    clients.push(socket)
    const state = { socket, got: '', ended: false }
    socket.on('error', () => {})
    socket.on('close', () => {
      state.ended = true
    })
    socket.on('data', (bytes) => {
      state.got += String(bytes)
    })
    await new Promise<void>((resolve) => {
      socket.once('connect', resolve)
      socket.once('close', () => resolve())
    })
    return state
  }

  it('passes bytes both ways', async () => {
    const { socket, ...state } = await client()
    socket.write('a')
    await once(socket, 'data')
    expect([received, state.ended]).deep.equal(['a', false])
  })

  it('resets what is connected and what connects while it is cut', async () => {
    const before = await client()
    link.set('cut')
    await sleep(50)
    const during = await client()
    await sleep(50)
    expect([before.ended, during.ended]).deep.equal([true, true])
    link.set('pass')
    const after = await client()
    after.socket.write('b')
    await once(after.socket, 'data')
    expect(after.got).equal('echo b')
  })

  it('carries requests but no replies while those are lost, then resets', async () => {
    const state = await client()
    link.set('replies-lost')
    state.socket.write('c')
    await sleep(100)
    expect([received, state.got]).deep.equal(['c', ''])
    link.set('pass')
    await sleep(50)
    expect(state.ended).equal(true)
  })

  it('takes bytes and does nothing while it is half open', async () => {
    const state = await client()
    link.set('half-open')
    state.socket.write('d')
    await sleep(100)
    expect([received, state.got, state.ended]).deep.equal(['', '', false])
  })
})
