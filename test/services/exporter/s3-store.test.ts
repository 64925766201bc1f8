import { expect } from 'chai'
import type { LensError } from '../../../services/core/errors.ts'
import type { ObjectStore } from '../../../services/exporter/store.ts'
import { openStore } from '../../../services/exporter/store.ts'
import { type HttpDouble, type Reply, startDouble } from './http-double.ts'

const PATH = 'requests/date=2025-11-24/hour=10/a-0-1.parquet'
const OK: Reply = { status: 200 }

function fault(status: number, code: string): Reply {
  const body = Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`)
  return { status, headers: { 'content-type': 'application/xml' }, body }
}

describe('exporter/s3-store', function () {
  this.timeout(60_000)
  let server: HttpDouble | undefined
  afterEach(() => server?.stop())

  async function storeOn(replies: readonly Reply[], url = 's3://lake/a/b'): Promise<ObjectStore> {
    server = await startDouble(replies)
    return openStore(url, {
      AWS_ENDPOINT_URL_S3: server.url,
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
    })
  }

  async function failureOf(replies: readonly Reply[]): Promise<LensError> {
    const store = await storeOn(replies)
    const error = await store.put(PATH, Buffer.from('x')).then(
      () => null,
      (fault: unknown) => fault,
    )
    expect(error).to.have.property('code', 'store_unavailable')
    return error as LensError
  }

  it('puts an object under bucket and prefix, path style, signed, with its type', async () => {
    const store = await storeOn([OK])
    await store.put(PATH, Buffer.from('bytes'))
    const [put] = server!.seen
    expect(put).to.deep.include({ method: 'PUT', body: Buffer.from('bytes') })
    expect(decodeURIComponent(put!.path)).to.equal(`/lake/a/b/${PATH}?x-id=PutObject`)
    expect(put!.headers['content-type']).to.equal('application/vnd.apache.parquet')
    expect(put!.headers['content-length']).to.equal('5')
    expect(put!.headers.authorization).to.contain('Credential=key/').and.contain('/us-east-1/s3/')
  })

  it('has no prefix when the URL has none', async () => {
    const store = await storeOn([OK], 's3://lake')
    await store.put('a.bin', Buffer.from('x'))
    expect(server!.seen[0]!.path).to.match(/^\/lake\/a\.bin\?/)
    expect(server!.seen[0]!.headers['content-type']).to.equal('application/octet-stream')
  })

  it('tries again when the server is busy or the connection breaks', async () => {
    const store = await storeOn([fault(503, 'SlowDown'), 'cut', OK])
    await store.put(PATH, Buffer.from('bytes'))
    expect(server!.seen.map(({ body }) => body.toString())).to.deep.equal([
      'bytes',
      'bytes',
      'bytes',
    ])
  })

  it('gives up a server that stays broken as retryable', async () => {
    const error = await failureOf([fault(500, 'InternalError')])
    expect(error.retryable).to.equal(true)
    expect(error.message).to.match(/^cannot put s3:\/\/lake\/a\/b\/.*parquet: \(InternalError 500/)
    expect(server!.seen).to.have.length(3)
  })

  it('says what a person must do, and does not try again', async () => {
    const cases = {
      NoSuchBucket: [404, 'the bucket does not exist'],
      AccessDenied: [403, 'may not put objects there'],
      SignatureDoesNotMatch: [403, 'AWS_SECRET_ACCESS_KEY does not belong'],
    } as const
    for (const [code, [status, why]] of Object.entries(cases)) {
      const error = await failureOf([fault(status, code)])
      expect(error.retryable, code).to.equal(false)
      expect(error.message).to.contain(why).and.not.contain('secret')
      expect(server!.seen, code).to.have.length(1)
      await server!.stop()
    }
  })

  it('asks a server again that refuses us after it has taken something', async () => {
    const store = await storeOn([OK, fault(403, 'ExpiredToken'), fault(404, 'NoSuchBucket'), OK])
    await store.put(PATH, Buffer.from('x'))
    for (const code of ['ExpiredToken', 'NoSuchBucket']) {
      const error = await store.put(PATH, Buffer.from('x')).catch((fault: unknown) => fault)
      expect(error).to.deep.include({ code: 'store_unavailable', retryable: true })
      expect((error as LensError).message).to.contain(code)
    }
    await store.put(PATH, Buffer.from('x'))
  })

  it('takes a server that is not there as retryable', async () => {
    const store = await storeOn([OK])
    await server!.stop()
    const error = await store.put(PATH, Buffer.from('x')).catch((fault: unknown) => fault)
    expect(error).to.deep.include({ code: 'store_unavailable', retryable: true })
    expect((error as LensError).message).to.contain('ECONNREFUSED')
  })
})
