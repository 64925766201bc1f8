import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import { openStore } from '../../../services/lake/store.ts'

describe('lake/store', function () {
  this.timeout(60_000)

  it('opens each form of a LAKE_URL', async () => {
    const forms = {
      'data/lake': `file://${resolve('data/lake')}`,
      '/abs/lake': 'file:///abs/lake',
      'file:///abs/la%20ke': 'file:///abs/la ke',
      'file:/abs/lake': 'file:///abs/lake',
      'file:data/lake': `file://${resolve('data/lake')}`,
      's3://bucket': 's3://bucket/',
      's3://bucket/': 's3://bucket/',
      's3://bucket/a/b/': 's3://bucket/a/b',
    }
    for (const [url, describe] of Object.entries(forms)) {
      const store = await openStore(url, { AWS_REGION: 'eu-central-1' })
      expect(store.describe, url).to.equal(describe)
    }
  })

  it('refuses any other form, and says which there are', async () => {
    const forms = {
      '': 'it is empty',
      '  ': 'it is empty',
      'file:': 'it names no path',
      'file://data/lake': 'a host stands where the path should begin',
      'file:///a%zz': 'its % escapes are wrong',
      's3://': 'it names no bucket',
      's3:bucket': 'it names no bucket',
      'gs://bucket/x': 'there is no store for gs:',
      'https://host/x': 'there is no store for https:',
    }
    for (const [url, why] of Object.entries(forms)) {
      const error = await openStore(url, {}).then(
        () => null,
        (fault: unknown) => fault,
      )
      expect(error, url).to.be.instanceOf(LensError)
      expect(error, url).to.have.property('code', 'configuration_invalid')
      expect((error as LensError).message)
        .to.contain(why)
        .and.contain('s3://bucket/prefix')
    }
  })

  it('puts files where the URL says', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lens-store-'))
    const store = await openStore(`file://${folder}`, {})
    await store.create('a/b.parquet', Buffer.from('x'))
    expect(await readFile(join(folder, 'a/b.parquet'), 'utf8')).to.equal('x')
    await rm(folder, { recursive: true })
  })
})
