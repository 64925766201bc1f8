import { expect } from 'chai'
import { AGGREGATES, RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { LensError } from '../../../services/core/errors.ts'
import { resourceSample, tokenEvents } from '../../records.ts'
import { forgottenBy } from './forgotten.ts'

/** A codec over a registry that counts the look-ups of each id and may be out of reach. */
async function counted(more: Readonly<Record<number, string>> = {}) {
  const files = createFileRegistry(readSchemas())
  const asked: number[] = []
  const state = { nowMs: 0, down: false }
  const registry = {
    idOf: files.idOf,
    async schemaOf(id: number) {
      asked.push(id)
      if (state.down) throw new LensError('registry_unavailable', 'down', { retryable: true })
      return more[id] ?? files.schemaOf(id)
    },
  }
  const codec = await createCodec(registry, () => state.nowMs)
  return { codec, asked, state }
}

/** A token event under any schema id. */
function under(codec: Codec, id: number): Buffer {
  const bytes = Buffer.from(codec.encode(TOKEN_EVENTS, tokenEvents()))
  bytes.writeUInt32BE(id, 1)
  return bytes
}

describe('bus/codec, ids that it has not seen', () => {
  it('never asks for the ids of its own schemas, nor for bytes that carry none', async () => {
    const { codec, asked } = await counted()
    const own = codec.encode(TOKEN_EVENTS, tokenEvents())
    await codec.prepare(TOKEN_EVENTS, [own, null, Buffer.alloc(3), Buffer.from('{"json":true}')])
    expect(asked).to.deep.equal([])
  })

  it('asks once for an id that is not there, for thirty seconds', async () => {
    const { codec, asked, state } = await counted()
    const bytes = under(codec, 99)
    for (let i = 0; i < 3; i++) await codec.prepare(TOKEN_EVENTS, [bytes, bytes])
    await codec.prepare(RESOURCE_SAMPLES, [bytes])
    expect(asked).to.deep.equal([99])
    expect(codec.decoder(TOKEN_EVENTS)(bytes, 0).bad).to.equal('unknown_schema')
    state.nowMs = 29_999
    await codec.prepare(TOKEN_EVENTS, [bytes])
    expect(asked).to.deep.equal([99])
    state.nowMs = 30_000
    await codec.prepare(TOKEN_EVENTS, [bytes])
    expect(asked).to.deep.equal([99, 99])
  })

  it('finds an id that was registered after it had been asked for', async () => {
    const schemas: Record<number, string> = {}
    const { codec, state } = await counted(schemas)
    const bytes = under(codec, 99)
    await codec.prepare(TOKEN_EVENTS, [bytes])
    schemas[99] = readSchemas()['token-events']!
    state.nowMs = 31_000
    await codec.prepare(TOKEN_EVENTS, [bytes])
    expect(codec.decoder(TOKEN_EVENTS)(bytes, 0).value).to.deep.include({ request_id: 'r-1' })
  })

  it('asks once for an id of another schema, and refuses its records', async () => {
    const { codec, asked } = await counted()
    const sample = codec.encode(RESOURCE_SAMPLES, resourceSample())
    for (let i = 0; i < 3; i++) await codec.prepare(TOKEN_EVENTS, [sample])
    expect(asked).to.have.length(1)
    expect(codec.decoder(TOKEN_EVENTS)(sample, 0).bad).to.equal('wrong_schema')
    // The same id goes on being good where it belongs.
    expect(codec.decoder(RESOURCE_SAMPLES)(sample, 0).bad).to.equal(null)
    await codec.prepare(AGGREGATES, [sample])
    expect(codec.decoder(AGGREGATES)(sample, 0).bad).to.equal('wrong_schema')
  })

  it('refuses a schema that is not Avro, or no schema at all', async () => {
    const { codec } = await counted({
      50: '{"type":"object"}',
      51: 'syntax = "proto3";',
      52: '"int"',
    })
    for (const id of [50, 51, 52]) {
      const bytes = under(codec, id)
      await codec.prepare(TOKEN_EVENTS, [bytes])
      expect(codec.decoder(TOKEN_EVENTS)(bytes, 0).bad, String(id)).to.equal('wrong_schema')
    }
  })

  it('throws when the registry does not answer, and takes no record for bad because of it', async () => {
    const { codec, asked, state } = await counted({ 99: readSchemas()['token-events']! })
    const bytes = under(codec, 99)
    state.down = true
    const error = await codec.prepare(TOKEN_EVENTS, [bytes]).catch((fault) => fault)
    expect(error).to.include({ code: 'registry_unavailable', retryable: true })
    state.down = false
    await codec.prepare(TOKEN_EVENTS, [bytes])
    expect(asked).to.deep.equal([99, 99])
    expect(codec.decoder(TOKEN_EVENTS)(bytes, 0).bad).to.equal(null)
  })

  it('remembers misses within bounds: it asks again after a hundred thousand others', async () => {
    const { codec, asked } = await counted()
    const first = under(codec, 100)
    await codec.prepare(TOKEN_EVENTS, [first])
    const others = Array.from({ length: 100_000 }, (_, i) => under(codec, 1_000 + i))
    const forgotten = await forgottenBy(() => codec.prepare(TOKEN_EVENTS, others))
    expect(forgotten).to.deep.equal({ unknown_schema_ids: 1 })
    expect(asked).to.have.length(100_001)
    await codec.prepare(TOKEN_EVENTS, [first, others.at(-1)!])
    expect(asked).to.have.length(100_002)
    const known = codec.encode(TOKEN_EVENTS, tokenEvents())
    expect(codec.decoder(TOKEN_EVENTS)(known, 0).bad).to.equal(null)
  }).timeout(20_000)

  it('asks for the ids of a batch 32 at a time', async () => {
    const files = createFileRegistry(readSchemas())
    let [running, most] = [0, 0]
    const registry = {
      idOf: files.idOf,
      async schemaOf() {
        most = Math.max(most, ++running)
        await null
        running--
        return null
      },
    }
    const codec = await createCodec(registry, () => 0)
    const values = Array.from({ length: 100 }, (_, i) => under(codec, 1_000 + i))
    await codec.prepare(TOKEN_EVENTS, values)
    expect(most).to.equal(32)
  })
})
