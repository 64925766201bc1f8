import { createServer } from 'node:http'
import { expect } from 'chai'
import { close, listen } from '../../../services/bus/listen.ts'
import type { LensError } from '../../../services/core/errors.ts'
import { createS3Store } from '../../../services/lake/s3-store.ts'
import type { ObjectStore } from '../../../services/lake/store.ts'
import { openStore } from '../../../services/lake/store.ts'
import { type HttpDouble, type Reply, startDouble } from './http-double.ts'

const PATH = 'requests/date=2025-11-24/hour=10/a-0-1.parquet'
const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' }
const OK: Reply = { status: 200, headers: { etag: '"0"' } }

function fault(status: number, code: string): Reply {
  const body = Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`)
  return { status, headers: { 'content-type': 'application/xml' }, body }
}

describe('lake/s3-store', function () {
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
    const error = await store.create(PATH, Buffer.from('x')).then(
      () => null,
      (fault: unknown) => fault,
    )
    expect(error).to.have.property('code', 'store_unavailable')
    return error as LensError
  }

  it('puts an object under bucket and prefix, path style, signed, with its type', async () => {
    const store = await storeOn([OK])
    await store.create(PATH, Buffer.from('bytes'))
    const [put] = server!.seen
    expect(put).to.deep.include({ method: 'PUT', body: Buffer.from('bytes') })
    expect(decodeURIComponent(put!.path)).to.equal(`/lake/a/b/${PATH}?x-id=PutObject`)
    expect(put!.headers['content-type']).to.equal('application/vnd.apache.parquet')
    expect(put!.headers['content-length']).to.equal('5')
    expect(put!.headers.authorization).to.contain('Credential=key/').and.contain('/us-east-1/s3/')
  })

  it('has no prefix when the URL has none', async () => {
    const store = await storeOn([OK], 's3://lake')
    await store.create('a.bin', Buffer.from('x'))
    expect(server!.seen[0]!.path).to.match(/^\/lake\/a\.bin\?/)
    expect(server!.seen[0]!.headers['content-type']).to.equal('application/octet-stream')
  })

  it('asks for no object to be there, and gives the one that is when it is other', async () => {
    const there: Reply = { status: 200, body: Buffer.from('first') }
    const store = await storeOn([fault(412, 'PreconditionFailed'), there])
    const found = await store.create(PATH, Buffer.from('second'))
    expect(Buffer.from(found!).toString()).to.equal('first')
    expect(server!.seen.map(({ method }) => method)).to.deep.equal(['PUT', 'GET'])
    expect(server!.seen[0]!.headers['if-none-match']).to.equal('*')
    await server!.stop()
    const again = await storeOn([fault(412, 'PreconditionFailed'), there])
    expect(await again.create(PATH, Buffer.from('first'))).to.equal(null)
  })

  it('takes an object that somebody else is putting as busy', async () => {
    const conflict = fault(409, 'ConditionalRequestConflict')
    expect((await failureOf([conflict])).retryable).to.equal(true)
  })

  it('says that a store knows no conditional put', async () => {
    const error = await failureOf([fault(501, 'NotImplemented')])
    expect(error.retryable).to.equal(false)
    expect(error.message).to.contain('cannot put an object only if there is none')
  })

  it('has objects encrypted as the environment says', async () => {
    server = await startDouble([OK])
    const env = {
      AWS_ENDPOINT_URL_S3: server.url,
      ...{ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
      ...{ LAKE_S3_ENCRYPTION: 'aws:kms', LAKE_S3_KMS_KEY_ID: 'alias/lens' },
    }
    await (await openStore('s3://lake', env)).create('a.json', Buffer.from('{}'))
    expect(server.seen[0]!.headers).to.deep.include({
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'alias/lens',
    })
    for (const [name, value] of [
      ['LAKE_S3_ENCRYPTION', 'rot13'],
      ['LAKE_S3_ENCRYPTION', ''],
    ]) {
      const wrong = await openStore('s3://lake', { ...env, [name!]: value }).catch((why) => why)
      expect(wrong).to.have.property('code', 'configuration_invalid')
    }
  })

  it('gives up an object whose end does not come', async () => {
    const raw = createServer((_, response) => {
      response.writeHead(200, { 'content-length': '9' }).write('half')
    })
    const url = await listen(raw, '127.0.0.1', 0)
    const env = { ...KEYS, AWS_ENDPOINT_URL_S3: url }
    const store = createS3Store({ bucket: 'lake', prefix: '', env, requestMs: 200 })
    const error = await store.get('a.parquet').catch((fault: unknown) => fault)
    expect(error).to.deep.include({ code: 'store_unavailable', retryable: true })
    expect((error as LensError).message).to.contain('no end of the object in 200 ms')
    await close(raw)
  })

  it('gives null for an object that is not there, and lists page by page', async () => {
    const page = (names: readonly string[], next: string | null): Reply => {
      const contents = names.map(
        (name) => `<Contents><Key>a/b/${name}</Key><Size>7</Size></Contents>`,
      )
      const token = next ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''
      const body = Buffer.from(`<ListBucketResult>${contents.join('')}${token}</ListBucketResult>`)
      return { status: 200, headers: { 'content-type': 'application/xml' }, body }
    }
    const replies = [fault(404, 'NoSuchKey'), page(['r/1', 'r/2'], 'more'), page(['r/3'], null)]
    const store = await storeOn(replies)
    expect(await store.get('none')).to.equal(null)
    const paths = []
    for await (const { path, bytes } of store.list('r/')) paths.push([path, bytes])
    expect(paths).to.deep.equal([
      ['r/1', 7],
      ['r/2', 7],
      ['r/3', 7],
    ])
    expect(server!.seen[2]!.path)
      .to.contain('continuation-token=more')
      .and.contain('prefix=a%2Fb%2Fr%2F')
  })

  it('tries again when the server is busy or the connection breaks', async () => {
    const store = await storeOn([fault(503, 'SlowDown'), 'cut', OK])
    await store.create(PATH, Buffer.from('bytes'))
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
      AccessDenied: [403, 'may not do that there'],
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
    await store.create(PATH, Buffer.from('x'))
    for (const code of ['ExpiredToken', 'NoSuchBucket']) {
      const error = await store.create(PATH, Buffer.from('x')).catch((fault: unknown) => fault)
      expect(error).to.deep.include({ code: 'store_unavailable', retryable: true })
      expect((error as LensError).message).to.contain(code)
    }
    await store.create(PATH, Buffer.from('x'))
  })

  it('takes a server that is not there as retryable', async () => {
    const store = await storeOn([OK])
    await server!.stop()
    const error = await store.create(PATH, Buffer.from('x')).catch((fault: unknown) => fault)
    expect(error).to.deep.include({ code: 'store_unavailable', retryable: true })
    expect((error as LensError).message).to.contain('ECONNREFUSED')
  })
})
