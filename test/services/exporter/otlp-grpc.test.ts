import { readFileSync } from 'node:fs'
import { createServer } from 'node:http2'
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { expect } from 'chai'
import { listen } from '../../../services/bus/listen.ts'
import { createGrpcTransport } from '../../../services/exporter/otlp-grpc.ts'
import { readOtlpSettings, type Signal } from '../../../services/exporter/otlp-settings.ts'

const CERTIFICATES = new URL('certificates/', import.meta.url).pathname
const MUTUAL_TLS = {
  OTEL_EXPORTER_OTLP_CERTIFICATE: `${CERTIFICATES}ca.pem`,
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: `${CERTIFICATES}client.pem`,
  OTEL_EXPORTER_OTLP_CLIENT_KEY: `${CERTIFICATES}client.key`,
}
const BODY = Buffer.from('a request')

type Call = ServerUnaryCall<Buffer, Buffer>
type Answer = (call: Call, done: sendUnaryData<Buffer>) => void

const taken: Answer = (_, done) => done(null, Buffer.alloc(0))

/** google.rpc.Status { details: [DebugInfo {}, RetryInfo { retry_delay { seconds } }, ...] }. */
function retryIn(seconds: number): Buffer {
  const wrap = (tag: number, inner: Buffer) => Buffer.concat([Buffer.of(tag, inner.length), inner])
  const delay = wrap(0x0a, Buffer.of(0x08, seconds))
  const type = wrap(0x0a, Buffer.from('type.googleapis.com/google.rpc.RetryInfo'))
  const other = wrap(0x1a, wrap(0x0a, Buffer.from('type.googleapis.com/google.rpc.DebugInfo')))
  return Buffer.concat([other, wrap(0x1a, Buffer.concat([type, wrap(0x12, delay)])), other])
}

function failing(code: status, details?: Buffer): Answer {
  const metadata = new Metadata()
  if (details) metadata.set('grpc-status-details-bin', details)
  return (_, done) => done({ code, details: 'because', metadata })
}

describe('exporter/otlp-grpc', function () {
  this.timeout(30_000)
  let server: Server
  const calls: Call[] = []
  afterEach(() => server.forceShutdown())

  async function transportTo(
    answer: Answer,
    env: Record<string, string> = {},
    { signal = 'trace' as Signal, isTls = false } = {},
  ) {
    calls.length = 0
    server = new Server()
    const services = { trace: 'TraceService', metrics: 'MetricsService' }
    const path = `/opentelemetry.proto.collector.${signal}.v1.${services[signal]}/Export`
    const asIs = (bytes: Buffer) => bytes
    const method = { path, requestStream: false, responseStream: false } as const
    const coding = {
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    }
    const take = (call: Call, done: sendUnaryData<Buffer>) => {
      calls.push(call)
      answer(call, done)
    }
    server.addService({ Export: { ...method, ...coding } }, { Export: take })
    const file = (name: string) => readFileSync(CERTIFICATES + name)
    const pair = { private_key: file('server.key'), cert_chain: file('server.pem') }
    const own = isTls
      ? ServerCredentials.createSsl(file('ca.pem'), [pair], true)
      : ServerCredentials.createInsecure()
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', own, (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const url = `${isTls ? 'https' : 'http'}://127.0.0.1:${port}`
    const all = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', ...env }
    return createGrpcTransport(readOtlpSettings(signal, url, all)!)
  }

  for (const signal of ['trace', 'metrics'] as const) {
    it(`calls the service of ${signal}, with the body as it is and the headers`, async () => {
      const env = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x' }
      const transport = await transportTo(taken, env, { signal })
      expect(await transport.post(BODY)).to.deep.equal({ is: 'taken', rejected: 0, message: '' })
      expect(calls[0]!.request).to.deep.equal(BODY)
      expect(calls[0]!.metadata.get('authorization')).to.deep.equal(['Bearer x'])
      transport.close()
    })
  }

  it('compresses when asked to', async () => {
    const transport = await transportTo(taken, { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' })
    expect(await transport.post(BODY)).to.have.property('is', 'taken')
    expect(calls[0]!.request).to.deep.equal(BODY)
    transport.close()
    // The server's library hides how it came.
    const seen: string[] = []
    const raw = createServer().on('stream', (stream, headers) => {
      seen.push(String(headers['grpc-encoding']))
      stream.close()
    })
    const url = await listen(raw, '127.0.0.1', 0)
    const env = { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
    const other = createGrpcTransport(readOtlpSettings('trace', url, env)!)
    await other.post(BODY)
    expect(seen).to.deep.equal(['gzip'])
    other.close()
    raw.close()
  })

  it('says what a partial success names', async () => {
    const partial = Buffer.from([0x0a, 7, 0x08, 3, 0x12, 3, ...Buffer.from('why')])
    const transport = await transportTo((_, done) => done(null, partial))
    expect(await transport.post(BODY)).to.deep.equal({ is: 'taken', rejected: 3, message: 'why' })
    transport.close()
  })

  it('may send again what the specification says, and nothing else', async () => {
    const meanings = {
      busy: [
        'CANCELLED',
        'DEADLINE_EXCEEDED',
        'ABORTED',
        'OUT_OF_RANGE',
        'UNAVAILABLE',
        'DATA_LOSS',
      ],
      refused: ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED'],
      wrong: ['INVALID_ARGUMENT', 'INTERNAL', 'UNKNOWN', 'NOT_FOUND', 'RESOURCE_EXHAUSTED'],
    } as const
    for (const [is, names] of Object.entries(meanings)) {
      for (const name of names) {
        const transport = await transportTo(failing(status[name as keyof typeof status]))
        const answer = await transport.post(BODY)
        expect(answer, name).to.have.property('is', is)
        expect(answer, name).to.have.property('message', `${name} "because"`)
        transport.close()
        server.forceShutdown()
      }
    }
  })

  it('waits as long as it is asked to, also when a quota is used up', async () => {
    for (const code of [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED]) {
      const transport = await transportTo(failing(code, retryIn(9)))
      expect(await transport.post(BODY)).to.deep.include({ is: 'busy', waitMs: 9_000 })
      transport.close()
      server.forceShutdown()
    }
  })

  it('gives up an answer that does not come in time, and a server that is not there', async () => {
    const transport = await transportTo(() => {}, { OTEL_EXPORTER_OTLP_TIMEOUT: '200' })
    expect(await transport.post(BODY)).to.have.property('is', 'busy')
    server.forceShutdown()
    expect(await transport.post(BODY)).to.have.property('is', 'busy')
    transport.close()
  })

  it('is known by its certificate, and knows the server by its own', async () => {
    const mutual = await transportTo(taken, MUTUAL_TLS, { isTls: true })
    expect(await mutual.post(BODY)).to.have.property('is', 'taken')
    mutual.close()
    server.forceShutdown()
    const { OTEL_EXPORTER_OTLP_CERTIFICATE: ca } = MUTUAL_TLS
    const cases: Record<string, string>[] = [{ OTEL_EXPORTER_OTLP_CERTIFICATE: ca }, {}]
    for (const env of cases) {
      const timeout = { OTEL_EXPORTER_OTLP_TIMEOUT: '1000' }
      const stranger = await transportTo(taken, { ...env, ...timeout }, { isTls: true })
      expect(await stranger.post(BODY)).to.have.property('is', 'busy')
      expect(calls).to.have.length(0)
      stranger.close()
      server.forceShutdown()
    }
  })
})
