import { expect } from 'chai'
import { PROBES, type ProbeChunk, probeChunk, probeDueMs, probeRecord } from './probes.ts'

const SINCE_MS = 1_795_521_590_123
const RECORDS = 70

/** Every chunk that has a gap, out of the records themselves. */
function chunksOf(probe: number): ProbeChunk[] {
  const chunks: ProbeChunk[] = []
  for (let i = 0; i < RECORDS; i++) {
    const { started_at, elapsed_us, first_chunk, gaps_us } = probeRecord(probe, i, SINCE_MS)
    let atUs = started_at + elapsed_us
    gaps_us.forEach((gap, n) => {
      atUs += gap
      const chunk = { atMs: atUs / 1000, sentMs: probeDueMs(probe, i, SINCE_MS) }
      if (first_chunk + n > 0) chunks.push(chunk)
    })
  }
  return chunks
}

describe('probes', () => {
  it('knows the nth chunk of a window, and when its record was sent', () => {
    for (let probe = 0; probe < PROBES; probe++) {
      const all = chunksOf(probe)
      for (const startMs of [SINCE_MS - 60_000, SINCE_MS + 9_877, SINCE_MS + 30_000]) {
        const inside = all.filter(({ atMs }) => atMs >= startMs)
        const known = inside.map((_, nth) => probeChunk(probe, nth, startMs, SINCE_MS))
        expect(known, `probe ${probe}`).deep.equal(inside)
      }
    }
  })

  it('sends no chunk before it has come', () => {
    for (const { atMs, sentMs } of chunksOf(3)) expect(sentMs).least(atMs)
  })
})
