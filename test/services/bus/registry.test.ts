import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import {
  createConfluentRegistry,
  createFileRegistry,
  type Registry,
} from '../../../services/bus/registry.ts'
import { tokenEvents } from '../../records.ts'

const NONE = { error_code: 40403, message: 'Schema not found' }
const PROTOBUF = 'syntax = "proto3"; message {'
const JSON_SCHEMA = '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}'
const ODD_AVRO = '{"type":"record","name":"X","fields":[{"name":"a","type":"int","default":null}]}'

describe('bus/registry', () => {
  let server: Server
  let registry: Registry
  let answers: Record<string, readonly [status: number, body: string]>
  const authorizations: (string | undefined)[] = []
  before(async () => {
    server = createServer(({ url, headers }, response) => {
      authorizations.push(headers.authorization)
      const [status, body] = answers[url!.split('?')[0]!] ?? [404, JSON.stringify(NONE)]
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    registry = createConfluentRegistry(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    )
  })
  after(() => server.close())

  async function outcome(id: number): Promise<unknown> {
    return registry.schemaOf(id).catch(({ code, retryable }) => ({ code, retryable }))
  }

  it('gives a schema as it was registered, whatever its kind and whether it can be used', async () => {
    const texts = [JSON_SCHEMA, PROTOBUF, ODD_AVRO, '<x/>']
    answers = Object.fromEntries(
      texts.map((schema, i) => [`/schemas/ids/${i}`, [200, JSON.stringify({ schema })]]),
    )
    expect(await Promise.all(texts.map((_, i) => outcome(i)))).to.deep.equal(texts)
  })

  it('puts what a schema refers to into it, or leaves that to the codec when it cannot', async () => {
    const references = [{ name: 'lens.Part', subject: 'part', version: 2 }]
    const fields = [{ name: 'part', type: 'lens.Part' }]
    const schema = JSON.stringify({ type: 'record', name: 'lens.Whole', fields })
    const part = { type: 'enum', name: 'lens.Part', symbols: ['a'] }
    const answer = JSON.stringify({ schema, references })
    answers = {
      '/schemas/ids/11': [200, answer],
      '/schemas/ids/12': [200, JSON.stringify({ schema: ODD_AVRO, references })],
      '/subjects/part/versions/2': [200, JSON.stringify({ schema: JSON.stringify(part) })],
    }
    const whole = { type: 'record', name: 'lens.Whole', fields: [{ name: 'part', type: part }] }
    expect(JSON.parse((await outcome(11)) as string)).to.deep.equal(whole)
    expect(await outcome(12)).to.equal(ODD_AVRO)
  })

  it('has no schema only when the registry itself says so; else it is to be asked again', async () => {
    answers = {
      '/schemas/ids/1': [404, '{"message":"no route"}'],
      '/schemas/ids/2': [404, 'nothing here'],
      '/schemas/ids/3': [503, JSON.stringify(NONE)],
      '/schemas/ids/4': [401, '{"error_code":40101}'],
      '/schemas/ids/5': [200, '<html>'],
      '/schemas/ids/6': [200, '{"schemaType":"AVRO"}'],
      '/schemas/ids/8': [200, '{"schema":"{}","references":[{"subject":"gone","version":1}]}'],
    }
    for (const id of [1, 2, 3, 4, 5, 6, 8]) {
      const again = { code: 'registry_unavailable', retryable: true }
      expect(await outcome(id), `id ${id}`).to.deep.equal(again)
    }
    expect(await outcome(7)).to.equal(null)
  })

  it('sends the credentials of its URL, and shows them to nobody', async () => {
    const { port } = server.address() as AddressInfo
    const own = createConfluentRegistry(`http://us%40er:s3cret@127.0.0.1:${port}`)
    answers = { '/schemas/ids/1': [502, ''] }
    expect(await own.schemaOf(2)).to.equal(null)
    expect(authorizations.at(-1)).to.equal(`Basic ${btoa('us@er:s3cret')}`)
    expect(await own.schemaOf(1).catch(String))
      .to.match(/127/)
      .and.not.match(/s3cret/)
  })

  it('says what went wrong', async () => {
    answers = { '/schemas/ids/1': [502, '{"message":"bad gateway"}'] }
    const error = await registry.schemaOf(1).catch(String)
    expect(error).to.match(/fetch schema 1 from http.*answers 502 \{"message":"bad gateway"\}/)
  })

  it('leaves it to the codec to refuse what it cannot read', async () => {
    const files = createFileRegistry(readSchemas())
    const texts = new Map([JSON_SCHEMA, PROTOBUF, ODD_AVRO].map((text, i) => [90 + i, text]))
    const schemaOf = async (id: number) => texts.get(id) ?? null
    const codec = await createCodec({ ...files, schemaOf }, Date.now)
    for (const id of texts.keys()) {
      const bytes = Buffer.from(codec.encode(TOKEN_EVENTS, tokenEvents()))
      bytes.writeUInt32BE(id, 1)
      await codec.prepare(TOKEN_EVENTS, [bytes])
      expect(codec.decoder(TOKEN_EVENTS)(bytes, 0).bad, texts.get(id)).to.equal('wrong_schema')
    }
  })
})
