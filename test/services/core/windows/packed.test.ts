import { expect } from 'chai'
import fc from 'fast-check'
import { mergePacked, packAggregate } from '../../../../services/core/windows/packed.ts'
import { sliceRecord } from '../../../records.ts'
import { aggregateOf, anyCounted, bytesOf, mergeAll } from './aggregates.ts'

describe('core/windows/packed', () => {
  it('adds a packed aggregate as it adds the aggregate itself', () => {
    fc.assert(
      fc.property(anyCounted, anyCounted, (one, two) => {
        const sum = aggregateOf(one)
        mergePacked(sum, packAggregate(aggregateOf(two), true))
        const plain = mergeAll(aggregateOf(one), aggregateOf(two))
        expect(bytesOf(sliceRecord(0, sum))).equal(bytesOf(sliceRecord(0, plain)))
      }),
    )
  })

  it('can be added again and again: nothing of it is given away', () => {
    const error = { kind: 'error', type: 'timeout', times: 1 } as const
    const reading = { kind: 'reading', name: 'gpu', value: 1, at: 1 } as const
    const packed = packAggregate(aggregateOf([error, reading]), false)
    const twice = aggregateOf([])
    mergePacked(twice, packed)
    mergePacked(twice, packed)
    const plain = aggregateOf([error, error, reading, reading])
    expect(sliceRecord(0, twice)).deep.equal(sliceRecord(0, plain))
  })
})
