import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { configurationPage, lakeColumnsPage, measuresPage } from '../../infra/generate/docs.ts'
import { LAKE_PROTO } from '../../infra/generate/proto.ts'
import { DATASETS } from '../../services/formats/datasets.ts'
import { protoText } from '../../services/formats/protobuf-schema.ts'

const DOCS = new URL('../../docs/', import.meta.url)

describe('infra/generate/docs', () => {
  it('has written the page of measures as the table in the code is now', () => {
    expect(readFileSync(new URL('measures.md', DOCS), 'utf8')).equal(measuresPage())
  })

  it('has written the page of columns as the datasets have them now', () => {
    expect(readFileSync(new URL('lake-columns.md', DOCS), 'utf8')).equal(lakeColumnsPage())
  })

  it('has written the messages of the lake as the datasets have them now', () => {
    expect(readFileSync(LAKE_PROTO, 'utf8')).equal(protoText(DATASETS))
  })

  it('has written the page of options as the services have them now', () => {
    expect(readFileSync(new URL('configuration.md', DOCS), 'utf8')).equal(configurationPage())
  })
})
