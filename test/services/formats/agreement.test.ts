import { expect } from 'chai'
import fc from 'fast-check'
import type { Distribution, RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import type { TokenRun } from '../../../services/core/measure/token-run.ts'
import { foldRun } from '../../../services/core/windows/fold.ts'
import { aggregateResult } from '../../../services/core/windows/result.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { requestEnd, tokenEvents } from './records.ts'

const us = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 30 }))
const count = fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: 0, max: 1000 }))
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary)

const anyEnd: fc.Arbitrary<RequestEnd> = fc
  .record({
    status: fc.constantFrom('ok', 'ok', 'error', 'cancelled', 'truncated'),
    duration_us: us,
    first_chunk_tokens: count,
    chunks: count,
    output_tokens: maybe(count),
  })
  .map((over) => requestEnd({ ...over }))

/** Requests as a producer sends them: the first gap is the TTFT, or the record is a later one. */
const anyRequest = fc
  .record({
    end: anyEnd,
    gaps_us: fc.array(us, { maxLength: 4 }),
    started: fc.integer({ min: 2 ** 40, max: 2 ** 50 }),
    early: maybe(fc.integer({ min: -1000, max: 1000 })),
  })
  .map(({ end, gaps_us, started, early }) => {
    const more = {
      ttft_us: end.chunks === 0 ? null : (gaps_us[0] ?? 0),
      intended_at: early === null ? null : started + early,
    }
    return tokenEvents({ started_at: started, gaps_us, end: { ...end, ...more } })
  })

/** The record as windowing's decoder fills it in. */
function runOf({ started_at, elapsed_us, gaps_us, ...record }: TokenEvents): TokenRun {
  return {
    labels: record,
    startedAtUs: started_at,
    firstChunk: record.first_chunk,
    elapsedUs: elapsed_us,
    lastUs: gaps_us.reduce((sum, gap) => sum + gap, elapsed_us),
    chunks: gaps_us.length,
    gapsUs: Int32Array.from(gaps_us),
    hasTokens: false,
    tokens: new Int32Array(),
    end: record.end,
  }
}

function onlyValue(distribution: Distribution | undefined): number | null {
  if (distribution === undefined) return null
  expect(distribution).to.deep.include({ count: 1, max: distribution.min })
  return distribution.min
}

describe('formats/requests-dataset and windowing', () => {
  it('measures a request as windowing does', () => {
    const { columns } = datasetNamed('requests')
    const cellOf = (record: TokenEvents, name: string): unknown =>
      columns.find((column) => column.name === name)!.value({ partition: 0, offset: 0, record })
    fc.assert(
      fc.property(anyRequest, (record) => {
        const total = createAggregate()
        foldRun(runOf(record), () => total)
        const window = { series: {}, startMs: 0, sizeMs: 60_000, final: true, revision: 0 }
        const { metrics } = aggregateResult(window, total)
        for (const name of ['e2e_us', 'tpot_us', 'queue_us']) {
          expect(cellOf(record, name), name).to.equal(onlyValue(metrics[name]))
        }
      }),
      { numRuns: 2000 },
    )
  })
})
