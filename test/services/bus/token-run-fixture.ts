/** TokenEvents as bytes, from our own schema and from the one of a later version. */
import fc from 'fast-check'
import type { RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createFileRegistry, type Registry } from '../../../services/bus/registry.ts'
import type { RunEnd, TokenRun } from '../../../services/core/measure/token-run.ts'
import { NOON_US, requestEnd, tokenEvents } from '../../records.ts'
import { avroType, schemaNamed } from './avro-arbitrary.ts'

export const EVOLVED_ID = 77

const own = schemaNamed('token-events')
const optional = { name: 'priority', type: ['null', 'string'], default: null }
const json = own.json as unknown as { fields: object[] }
const evolved = { ...json, fields: [optional, ...json.fields, { ...optional, name: 'batch' }] }
const evolvedType = avroType(evolved)

/** A registry that also knows our schema with two more optional fields. */
export function evolvedRegistry(): Registry {
  const files = createFileRegistry(readSchemas())
  return {
    idOf: files.idOf,
    schemaOf: async (id) => (id === EVOLVED_ID ? JSON.stringify(evolved) : files.schemaOf(id)),
  }
}

/** A codec that has already seen the later version. */
export async function evolvedCodec(): Promise<Codec> {
  const codec = await createCodec(evolvedRegistry(), () => 0)
  await codec.prepare(TOKEN_EVENTS, [evolvedBytes(tokenEvents())])
  return codec
}

/** A record as the later version writes it. */
export function evolvedBytes(events: TokenEvents): Buffer {
  const record = { priority: 'high', batch: null, ...events }
  return Buffer.concat([Buffer.of(0, 0, 0, 0, EVOLVED_ID), evolvedType.toBuffer(record)])
}

const US_MAX = 2 ** 38
const text = fc.string({ unit: 'grapheme', maxLength: 8 })
const us = fc.oneof(fc.nat(100_000), fc.integer({ min: 0, max: US_MAX }))
const count = fc.oneof(fc.nat(100), fc.nat())
const optionalCount = fc.option(count)

const anyEnd: fc.Arbitrary<RequestEnd> = fc
  .record({
    status: fc.constantFrom(
      'ok' as const,
      'error' as const,
      'cancelled' as const,
      'truncated' as const,
    ),
    error_type: text,
    finish_reason: text,
    duration_us: us,
    first_chunk_tokens: count,
    chunks: count,
    intended_at: fc.option(us.map((wait) => NOON_US - wait)),
    input_tokens: optionalCount,
    output_tokens: optionalCount,
    cached_tokens: optionalCount,
    reasoning_tokens: optionalCount,
    attempts: count,
    cost_usd: fc.option(fc.double({ noNaN: true })),
    security: fc.option(
      fc.record({ validation_us: us, threat_detection_us: us, output_filter_us: us }),
    ),
    speculative: fc.option(
      fc.record({
        draft_tokens: count,
        accepted_tokens: count,
        draft_us: us,
        round_trip_us: us,
        verify_us: us,
      }),
    ),
    quality: fc.array(text, { maxLength: 3 }),
  })
  .map(requestEnd)

// 80 of the longest make less than an hour.
const chunk = fc.tuple(fc.oneof(fc.nat(50_000), fc.nat(40_000_000)), fc.nat(1_000))

/** Records within every limit. */
export const anyTokenEvents: fc.Arbitrary<TokenEvents> = fc
  .record({
    request_id: text,
    source: text,
    provider: text,
    model: text,
    endpoint: text,
    region: text,
    tenant: text,
    attributes: fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }),
    first_chunk: fc.nat(1_000),
    elapsed: us,
    chunks: fc.array(chunk, { maxLength: 80 }),
    counted: fc.boolean(),
    token_source: fc.constantFrom('chunk' as const, 'usage' as const, 'tokenizer' as const),
    end: fc.option(anyEnd),
    early: us,
  })
  .map(({ elapsed, chunks, counted, early, end, ...rest }) => {
    const gaps_us = chunks.map(([gap]) => gap)
    const elapsed_us = rest.first_chunk === 0 ? 0 : elapsed
    const lastUs = gaps_us.reduce((sum, gap) => sum + gap, elapsed_us)
    return tokenEvents({
      ...rest,
      started_at: NOON_US,
      elapsed_us,
      gaps_us,
      tokens: counted ? chunks.map(([, tokens]) => tokens) : [],
      end: end && { ...end, ttft_us: early <= lastUs ? early : null },
    })
  })

/** What the run of a record must be. */
export function runOf(events: TokenEvents) {
  const { model, endpoint, region, tenant, provider, attributes, gaps_us, tokens, end } = events
  return {
    labels: { model, endpoint, region, tenant, provider, attributes: { ...attributes } },
    startedAtUs: events.started_at,
    firstChunk: events.first_chunk,
    elapsedUs: events.elapsed_us,
    lastUs: gaps_us.reduce((sum, gap) => sum + gap, events.elapsed_us),
    gapsUs: [...gaps_us],
    tokens: [...tokens],
    end: plain(end),
  }
}

/** A run in the same form. */
export function contentOf(run: TokenRun) {
  const { labels, startedAtUs, firstChunk, elapsedUs, lastUs, chunks, end } = run
  const tokens = run.hasTokens ? [...run.tokens.subarray(0, chunks)] : []
  const gapsUs = [...run.gapsUs.subarray(0, chunks)]
  return { labels, startedAtUs, firstChunk, elapsedUs, lastUs, gapsUs, tokens, end: plain(end) }
}

/** What a run keeps of it, without the classes that avsc makes for records. */
function plain(end: RunEnd | null): RunEnd | null {
  if (end === null) return null
  const { status, error_type, duration_us, ttft_us, first_chunk_tokens, chunks } = end
  const { intended_at, input_tokens, output_tokens, security } = end
  return {
    ...{ status, error_type, duration_us, ttft_us, first_chunk_tokens, chunks },
    ...{ intended_at, input_tokens, output_tokens, security: security && { ...security } },
  }
}
