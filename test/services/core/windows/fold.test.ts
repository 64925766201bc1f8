import { expect } from 'chai'
import { eventTimeUs, foldSample, sliceStart } from '../../../../services/core/windows/fold.ts'
import { createAggregate } from '../../../../services/core/windows/slice.ts'
import {
  NOON_MS,
  NOON_US,
  requestEnd,
  resourceSample,
  sliceRecord,
  tokenEvents,
} from '../../../records.ts'
import { seenIn, tokenRun } from './runs.ts'

describe('core/windows/fold: chunks', () => {
  it('takes the gap of chunk 0 as TTFT and every later one as a chunk gap', () => {
    expect(seenIn(tokenEvents({ gaps_us: [200_000, 20_000, 30_000] }))).to.deep.equal({
      0: {
        ttft_us: [1, 200_000, 200_000, 200_000],
        chunk_gap_us: [2, 50_000, 20_000, 30_000],
        itl_us: [2, 50_000, 20_000, 30_000],
      },
    })
  })

  it('has no TTFT in a record that does not begin with chunk 0', () => {
    const record = tokenEvents({ first_chunk: 5, elapsed_us: 900_000, gaps_us: [20_000] })
    expect(seenIn(record)).to.deep.equal({
      0: { chunk_gap_us: [1, 20_000, 20_000, 20_000], itl_us: [1, 20_000, 20_000, 20_000] },
    })
  })

  it('counts itl once per token, and leaves the tokens of the first chunk out', () => {
    const record = tokenEvents({ gaps_us: [200_000, 30_000, 10_000], tokens: [9, 3, 1] })
    expect(seenIn(record)).to.deep.equal({
      0: {
        ttft_us: [1, 200_000, 200_000, 200_000],
        chunk_gap_us: [2, 40_000, 10_000, 30_000],
        itl_us: [4, 40_000, 10_000, 10_000],
      },
    })
  })

  it('has a gap but no itl for a chunk without tokens', () => {
    const record = tokenEvents({ gaps_us: [200_000, 30_000, 10_000], tokens: [1, 0, 2] })
    expect(seenIn(record)[0]).to.deep.include({
      chunk_gap_us: [2, 40_000, 10_000, 30_000],
      itl_us: [2, 10_000, 5_000, 5_000],
    })
  })

  it('has no itl at all when no later chunk has tokens', () => {
    const record = tokenEvents({ gaps_us: [200_000, 30_000], tokens: [1, 0] })
    expect(seenIn(record)[0]).not.to.have.property('itl_us')
  })

  for (const [gap, tokens, itl] of [
    [100, 3, 33],
    [101, 2, 51],
    [200, 3, 67],
    [1, 3, 0],
    [0, 1, 0],
  ] as const) {
    it(`rounds an itl of ${gap} / ${tokens} to ${itl}`, () => {
      const record = tokenEvents({ gaps_us: [5, gap], tokens: [1, tokens] })
      expect(seenIn(record)[0]).to.deep.include({ itl_us: [tokens, itl * tokens, itl, itl] })
    })
  }

  it('counts TTFT and gaps whatever became of the request', () => {
    for (const status of ['ok', 'error', 'cancelled', 'truncated'] as const) {
      expect(seenIn(tokenEvents({ end: requestEnd({ status }) }))[0]).to.deep.include({
        ttft_us: [1, 200_000, 200_000, 200_000],
        chunk_gap_us: [1, 20_000, 20_000, 20_000],
      })
    }
  })

  it('counts nothing of a record without chunks and without an end', () => {
    expect(seenIn(tokenEvents({ gaps_us: [] }))).to.deep.equal({})
  })
})

describe('core/windows/fold: slices', () => {
  it('puts each gap into the slice of its chunk', () => {
    const gaps_us = [9_999_999, 1, 9_999_999, 25_000_000, 5]
    expect(seenIn(tokenEvents({ gaps_us }))).to.deep.equal({
      0: { ttft_us: [1, 9_999_999, 9_999_999, 9_999_999] },
      10: { chunk_gap_us: [2, 10_000_000, 1, 9_999_999], itl_us: [2, 10_000_000, 1, 9_999_999] },
      40: {
        chunk_gap_us: [2, 25_000_005, 5, 25_000_000],
        itl_us: [2, 25_000_005, 5, 25_000_000],
      },
    })
  })

  it('goes by the time of the chunk, not of the send or of the record', () => {
    const record = tokenEvents({
      started_at: NOON_US - 3_000_000,
      first_chunk: 7,
      elapsed_us: 2_999_999,
      gaps_us: [0, 1],
    })
    expect(Object.keys(seenIn(record))).to.have.members(['-10', '0'])
  })

  it('starts a slice at each multiple of ten seconds, to the microsecond', () => {
    const starts = [-1, 0, 9_999_999, 10_000_000].map((by) => sliceStart(NOON_US + by) - NOON_MS)
    expect(starts).to.deep.equal([-10_000, 0, 0, 10_000])
  })

  it('gives as event time of a run its last chunk, or its end when that is later', () => {
    const at = (end: ReturnType<typeof requestEnd> | null) =>
      eventTimeUs(tokenRun(tokenEvents({ first_chunk: 3, elapsed_us: 1_000, end }))) - NOON_US
    expect(at(null)).to.equal(221_000)
    expect(at(requestEnd({ duration_us: 221_001 }))).to.equal(221_001)
    expect(at(requestEnd({ duration_us: 5 }))).to.equal(221_000)
  })

  it('counts a reading in the slice of its own time, under its name', () => {
    const slice = createAggregate()
    const asked: number[] = []
    for (const [by, value] of [
      [10_000_000, 3],
      [19_999_999, 4],
    ] as const) {
      const sample = resourceSample({ at: NOON_US + by, name: 'queue', value })
      foldSample(sample, (startMs) => {
        asked.push(startMs - NOON_MS)
        return slice
      })
    }
    expect(asked).to.deep.equal([10_000, 10_000])
    const seen = sliceRecord(0, slice).gauges.map((gauge) => [
      gauge.name,
      gauge.last,
      gauge.last_at,
    ])
    expect(seen).to.deep.equal([['queue', 4, NOON_US + 19_999_999]])
  })
})
