import { expect } from 'chai'
import { distributionResult } from '../../../../services/core/histogram/distribution.ts'
import { MEASURES } from '../../../../services/core/measure/measures.ts'
import { addReading } from '../../../../services/core/windows/gauge.ts'
import { aggregateResult } from '../../../../services/core/windows/result.ts'
import {
  addErrors,
  createAggregate,
  ERROR_TYPES_MAX,
  GAUGES_MAX,
  gaugeOf,
  mergeAggregate,
} from '../../../../services/core/windows/slice.ts'
import { mergeSlice, sliceRecord } from '../../../records.ts'
import { aggregateOf } from './aggregates.ts'

const WINDOW = {
  series: { model: 'm-1' },
  startMs: 1_795_521_600_000,
  sizeMs: 300_000,
  final: true,
  revision: 2,
}

/** An aggregate with `count` classes of errors, one error each. */
function manyErrors(count: number, first = 0) {
  const aggregate = createAggregate()
  for (let i = 0; i < count; i++) addErrors(aggregate, `class-${first + i}`, 1)
  return aggregate
}

function total(counts: Iterable<number>): number {
  return [...counts].reduce((sum, n) => sum + n, 0)
}

describe('core/windows/slice: result', () => {
  it('publishes the window with every count, measure and gauge', () => {
    const source = aggregateOf([
      { kind: 'request', counts: [9, 2, 1, 40, 300, 80] },
      { kind: 'error', type: 'timeout', times: 2 },
      { kind: 'measure', id: 0, value: 200_000, times: 3 },
      { kind: 'measure', id: 7, value: 2 ** 18, times: 1 },
      { kind: 'reading', name: 'gpu_utilization', value: 0.5, at: 1 },
      { kind: 'reading', name: 'gpu_utilization', value: 1, at: 2 },
    ])
    expect(aggregateResult(WINDOW, source)).to.deep.equal({
      series: { model: 'm-1' },
      size_s: 300,
      start: 1_795_521_600_000,
      end: 1_795_521_900_000,
      final: true,
      revision: 2,
      incomplete: false,
      requests: 9,
      errors: 2,
      cancelled: 1,
      errors_by_type: { timeout: 2 },
      chunks: 40,
      input_tokens: 300,
      output_tokens: 80,
      metrics: {
        ttft_us: distributionResult(source.metrics[0]!, 0),
        guard_share: distributionResult(source.metrics[7]!, 20),
      },
      gauges: { gpu_utilization: { count: 2, min: 0.5, max: 1, mean: 0.75, last: 1 } },
      goodput: null,
    })
  })

  it('publishes a share in whole, not in the units that it is counted in', () => {
    const source = aggregateOf([{ kind: 'measure', id: 7, value: 2 ** 18, times: 1 }])
    expect(aggregateResult(WINDOW, source).metrics.guard_share).to.deep.include({
      sum: 0.25,
      min: 0.25,
      max: 0.25,
      p50: 0.25,
    })
  })

  it('publishes each measure under its own name', () => {
    const all = MEASURES.map(
      ({ id }) => ({ kind: 'measure', id, value: id + 1, times: 1 }) as const,
    )
    const { metrics } = aggregateResult(WINDOW, aggregateOf(all))
    for (const { id, name, unitShift } of MEASURES) {
      expect(metrics[name]!.sum).to.equal((id + 1) / 2 ** unitShift)
    }
  })

  it('has no measure and no gauge where nothing was seen', () => {
    const { metrics, gauges, errors_by_type, requests } = aggregateResult(WINDOW, createAggregate())
    expect({ metrics, gauges, errors_by_type, requests }).to.deep.equal({
      metrics: {},
      gauges: {},
      errors_by_type: {},
      requests: 0,
    })
  })

  it('lists gauges and classes of errors by name, whatever came first', () => {
    const source = aggregateOf([
      { kind: 'reading', name: 'b', value: 1, at: 1 },
      { kind: 'error', type: 'z', times: 1 },
      { kind: 'reading', name: 'a', value: 1, at: 1 },
      { kind: 'error', type: 'y', times: 1 },
    ])
    const { gauges, errors_by_type } = aggregateResult(WINDOW, source)
    expect([Object.keys(gauges), Object.keys(errors_by_type)]).to.deep.equal([
      ['a', 'b'],
      ['y', 'z'],
    ])
  })
})

describe('core/windows/slice: classes of errors', () => {
  it('tells as many classes apart as the limit, and counts the rest as other', () => {
    const aggregate = manyErrors(ERROR_TYPES_MAX + 5)
    addErrors(aggregate, 'class-0', 3)
    expect(aggregate.errorsByType.size).to.equal(ERROR_TYPES_MAX + 1)
    const seen = ['class-0', `class-${ERROR_TYPES_MAX - 1}`, `class-${ERROR_TYPES_MAX}`, 'other']
    expect(seen.map((type) => aggregate.errorsByType.get(type))).to.deep.equal([4, 1, undefined, 5])
  })

  it('loses no error when aggregates with different classes are merged', () => {
    const target = manyErrors(ERROR_TYPES_MAX)
    mergeAggregate(target, manyErrors(ERROR_TYPES_MAX, 32))
    mergeSlice(target, sliceRecord(0, manyErrors(ERROR_TYPES_MAX + 2, 500)))
    expect(target.errorsByType.size).to.equal(ERROR_TYPES_MAX + 1)
    expect(total(target.errorsByType.values())).to.equal(3 * ERROR_TYPES_MAX + 2)
    expect(target.errorsByType.get('class-40')).to.equal(2)
    expect(target.errorsByType.get('other')).to.equal(32 + ERROR_TYPES_MAX + 2)
  })
})

describe('core/windows/slice: gauges', () => {
  it('tells as many gauges apart as the limit, and takes the rest as other', () => {
    const aggregate = createAggregate()
    for (let i = 0; i < GAUGES_MAX + 5; i++) addReading(gaugeOf(aggregate, `gauge-${i}`), i, i)
    addReading(gaugeOf(aggregate, 'gauge-0'), 7, 1)
    const { gauges } = aggregateResult(WINDOW, aggregate)
    expect(Object.keys(gauges)).to.have.length(GAUGES_MAX + 1)
    expect([gauges['gauge-0']!.count, gauges[`gauge-${GAUGES_MAX - 1}`]!.count]).to.deep.equal([
      2, 1,
    ])
    expect(gauges.other).to.deep.include({ count: 5, min: GAUGES_MAX, max: GAUGES_MAX + 4 })
  })

  it('loses no reading when aggregates with different gauges are merged', () => {
    const parts = ['a', 'b'].map((prefix) => {
      const part = createAggregate()
      for (let i = 0; i < GAUGES_MAX; i++) addReading(gaugeOf(part, `${prefix}-${i}`), 1, 1)
      return part
    })
    const target = createAggregate()
    for (const part of parts) mergeAggregate(target, part)
    mergeSlice(target, sliceRecord(0, parts[1]!))
    expect(target.gauges.size).to.equal(GAUGES_MAX + 1)
    expect(target.gauges.get('other')!.count).to.equal(2 * GAUGES_MAX)
  })
})
