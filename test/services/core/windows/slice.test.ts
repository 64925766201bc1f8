import { expect } from 'chai'
import fc from 'fast-check'
import {
  createAggregate,
  mergeAggregate,
  type SeriesAggregate,
} from '../../../../services/core/windows/slice.ts'
import { mergeSlice, sliceRecord } from '../../../records.ts'
import { aggregateOf, anyCounted, bytesOf, mergeAll, overTheWire } from './aggregates.ts'

const START_MS = 1_795_521_600_000

function encoded(aggregate: SeriesAggregate) {
  return sliceRecord(START_MS, aggregate)
}

function expectSame(got: SeriesAggregate, want: SeriesAggregate): void {
  expect(encoded(got)).to.deep.equal(encoded(want))
  expect(bytesOf(encoded(got))).to.equal(bytesOf(encoded(want)))
}

describe('core/windows/slice: merging', () => {
  it('gives the same bytes for any split of the same observations', () => {
    fc.assert(
      fc.property(anyCounted, fc.nat(25), (counted, at) => {
        const parts = [counted.slice(0, at), counted.slice(at)].map(aggregateOf)
        expectSame(mergeAll(...parts), aggregateOf(counted))
      }),
    )
  })

  it('is associative', () => {
    fc.assert(
      fc.property(anyCounted, anyCounted, anyCounted, (...three) => {
        const [a, b, c] = three.map(aggregateOf) as [never, never, never]
        expectSame(mergeAll(mergeAll(a, b), c), mergeAll(a, mergeAll(b, c)))
      }),
    )
  })

  it('is commutative', () => {
    fc.assert(
      fc.property(anyCounted, anyCounted, (one, other) => {
        const [a, b] = [aggregateOf(one), aggregateOf(other)]
        expectSame(mergeAll(a, b), mergeAll(b, a))
      }),
    )
  })

  it('gives the same bytes in whatever order gauges and classes of errors appear', () => {
    const one = aggregateOf([
      { kind: 'reading', name: 'gpu_utilization', value: 1, at: 1 },
      { kind: 'error', type: 'timeout', times: 1 },
    ])
    const other = aggregateOf([
      { kind: 'reading', name: 'kv_cache_usage', value: 1, at: 1 },
      { kind: 'error', type: 'http_429', times: 1 },
    ])
    expectSame(mergeAll(one, other), mergeAll(other, one))
  })

  it('leaves what is merged as it was', () => {
    fc.assert(
      fc.property(anyCounted, anyCounted, (one, other) => {
        const source = aggregateOf(other)
        const target = mergeAll(source, aggregateOf(one))
        mergeAggregate(target, source)
        expectSame(source, aggregateOf(other))
      }),
    )
  })

  it('changes nothing by merging nothing', () => {
    fc.assert(
      fc.property(anyCounted, (counted) => {
        const target = aggregateOf(counted)
        mergeAggregate(target, createAggregate())
        expectSame(target, aggregateOf(counted))
      }),
    )
  })
})

describe('core/windows/slice: on the wire', () => {
  it('comes back the same from its bytes', () => {
    fc.assert(
      fc.property(anyCounted, (counted) => {
        const source = aggregateOf(counted)
        const back = createAggregate()
        mergeSlice(back, overTheWire(encoded(source)))
        expectSame(back, source)
      }),
    )
  })

  it('merges a record as it merges the aggregate', () => {
    fc.assert(
      fc.property(anyCounted, anyCounted, (one, other) => {
        const target = aggregateOf(one)
        mergeSlice(target, overTheWire(encoded(aggregateOf(other))))
        expectSame(target, mergeAll(aggregateOf(one), aggregateOf(other)))
      }),
    )
  })

  it('leaves out the measures of a newer table', () => {
    const source = aggregateOf([{ kind: 'measure', id: 0, value: 7, times: 2 }])
    const slice = encoded(source)
    const newer = slice.metrics.map((metric) => ({ ...metric, id: 8 }))
    const target = createAggregate()
    mergeSlice(target, { ...slice, metrics: [...slice.metrics, ...newer] })
    expectSame(target, source)
  })

  it('carries nothing for a measure without a value', () => {
    const slice = encoded(aggregateOf([{ kind: 'measure', id: 4, value: 1, times: 1 }]))
    expect(slice.metrics.map(({ id }) => id)).to.deep.equal([4])
    expect(encoded(createAggregate())).to.deep.equal({
      start: START_MS,
      requests: 0,
      errors: 0,
      cancelled: 0,
      errors_by_type: {},
      chunks: 0,
      input_tokens: 0,
      output_tokens: 0,
      metrics: [],
      gauges: [],
    })
  })
})
