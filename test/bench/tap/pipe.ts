/** The least that a proxy of Node does: the peer that measures nothing. */
import { once } from 'node:events'
import { Agent, createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'

const port = Number(process.argv[2])
const agent = new Agent({ keepAlive: true })
const server = createServer((request, response) => {
  const { method, url: path, headers } = request
  const call = send({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers)
    answer.pipe(response)
  })
  call.on('error', () => response.destroy())
  response.on('close', () => call.destroy())
  request.pipe(call)
})

await once(server.listen(0, '127.0.0.1'), 'listening')
process.send!({ port: (server.address() as AddressInfo).port })
process.on('disconnect', () => process.exit())
