import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import { openStore } from '../../services/lake/store.ts'
import { sampleFile } from '../services/formats/sample-file.ts'

const PATH = 'requests/date=2025-11-24/hour=10/lens.token-events-0-00000000000000000010.parquet'

describe('exporter/s3-store on a real server', function () {
  this.timeout(300_000)
  let folder: string
  let stack: Stack
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-s3-'))
    stack = await startStack({ parts: ['s3'], dataFolder: join(folder, 'data'), log: () => {} })
  })
  after(async () => {
    await stack?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function read(key: string): Promise<{ bytes: Uint8Array; type: string | undefined }> {
    const { env } = stack
    const credentials = {
      accessKeyId: env.AWS_ACCESS_KEY_ID!,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY!,
    }
    const client = new S3Client({
      endpoint: env.AWS_ENDPOINT_URL_S3!,
      region: env.AWS_REGION!,
      credentials,
      forcePathStyle: true,
    })
    const answer = await client.send(new GetObjectCommand({ Bucket: 'lake', Key: key }))
    return { bytes: await answer.Body!.transformToByteArray(), type: answer.ContentType }
  }

  it('puts a file that can be read back byte for byte', async () => {
    const store = await openStore(stack.env.LAKE_URL!, stack.env)
    const bytes = sampleFile(900)
    await store.create(PATH, bytes)
    const object = await read(PATH)
    expect(object.type).to.equal('application/vnd.apache.parquet')
    expect(Buffer.from(object.bytes).equals(bytes)).to.equal(true)
  })

  it('puts nothing over an object, whoever was first', async () => {
    const store = await openStore(`${stack.env.LAKE_URL}/a/prefix`, stack.env)
    const contents = Array.from({ length: 8 }, (_, i) => sampleFile(50 + i))
    const there = await Promise.all(contents.map((one) => store.create('b.parquet', one)))
    const winners = contents.filter((_, i) => there[i] === null)
    expect(winners).to.have.length(1)
    const { bytes } = await read('a/prefix/b.parquet')
    expect(Buffer.from(bytes).equals(winners[0]!)).to.equal(true)
    expect(await store.create('b.parquet', winners[0]!)).to.equal(null)
    expect(await store.get('b.parquet')).to.deep.equal(new Uint8Array(winners[0]!))
    expect(await store.get('none')).to.equal(null)
    const listed = []
    for await (const object of store.list('')) listed.push(object)
    expect(listed).to.deep.equal([{ path: 'b.parquet', bytes: winners[0]!.length }])
    await store.remove('b.parquet')
    await store.remove('b.parquet')
    expect(await store.get('b.parquet')).to.equal(null)
  })

  it('says that the keys are not good', async () => {
    const env = { ...stack.env, AWS_SECRET_ACCESS_KEY: 'wrong' }
    const stranger = await openStore(stack.env.LAKE_URL!, env)
    const refused = await stranger.create('x.json', Buffer.from('{}')).catch((error) => error)
    expect(refused).to.deep.include({ code: 'store_unavailable', retryable: false })
    expect(refused.message).to.contain('AWS_SECRET_ACCESS_KEY does not belong')
  })
})
