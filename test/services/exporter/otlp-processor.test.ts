import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { AGGREGATES } from '../../../schemas/topics.ts'
import type { Decoded, Plan } from '../../../services/core/processor.ts'
import {
  createOtlpProcessor,
  type OtlpExport,
  type OtlpProcessor,
  POINTS_MAX,
} from '../../../services/exporter/otlp-processor.ts'
import { otlpPoints } from '../../../services/formats/otlp.ts'
import { aggregate, T0_MS } from '../formats/records.ts'
import { assignment } from './lake-log.ts'

const GROUPING = ['model', 'endpoint', 'region', 'tenant']

function processorOf(grouping: readonly string[] = GROUPING): OtlpProcessor {
  return createOtlpProcessor({ ...assignment(), topic: AGGREGATES, partition: 4 }, grouping)
}

function recordsOf(aggregates: readonly Aggregate[]): Decoded[] {
  return aggregates.map((value, offset) => ({ offset, appendMs: T0_MS, value, bad: null }))
}

function give(processor: OtlpProcessor, records: readonly Decoded[]): Plan<OtlpExport> {
  return processor.onBatch({ topic: AGGREGATES, partition: 4, records })
}

describe('exporter/otlp-processor', () => {
  it('starts where the last owner committed', () => {
    expect(processorOf().startOffset).to.equal(null)
    const committed = { offset: 9, metadata: '' }
    const given = { ...assignment(committed), topic: AGGREGATES }
    expect(createOtlpProcessor(given, GROUPING).startOffset).to.equal(9)
  })

  it('sends the final minutes of one grouping, and commits after them', () => {
    const own = aggregate()
    const plan = give(processorOf(), recordsOf([own]))
    expect(plan).to.deep.equal({
      outputs: [],
      effects: [{ kind: 'otlp-export', points: otlpPoints(own), instance: 'lens.aggregates-4' }],
      commit: { offset: 1, metadata: '' },
      wakeMs: Number.POSITIVE_INFINITY,
    })
  })

  it('leaves out what would count a request again, and counts it', () => {
    const processor = processorOf()
    const bad: Decoded = { offset: 5, appendMs: T0_MS, value: undefined, bad: 'truncated' }
    const others = [
      aggregate({ size_s: 300 }),
      aggregate({ series: { model: 'llama' } }),
      aggregate({ series: {} }),
      aggregate({ final: false }),
      aggregate({ revision: 1 }),
    ]
    const plan = give(processor, [...recordsOf(others), bad])
    expect(plan.effects).to.deep.equal([])
    expect(plan.commit).to.deep.equal({ offset: 6, metadata: '' })
    expect(processor.stats).to.deep.equal({
      records: 6,
      bad: 1,
      otherSeries: 4,
      revisions: 1,
      exported: 0,
      points: 0,
    })
  })

  it('takes the grouping in any order of its dimensions', () => {
    const processor = processorOf(['tenant', 'model'])
    give(processor, recordsOf([aggregate({ series: { model: 'm', tenant: 't' } })]))
    expect(processor.stats.exported).to.equal(1)
  })

  it(`puts at most ${POINTS_MAX} points into a request, and loses none`, () => {
    const many = Array.from({ length: 100 }, (_, i) => {
      return aggregate({ series: { model: 'm', endpoint: `e${i}`, region: '', tenant: '' } })
    })
    const { effects } = give(processorOf(), recordsOf(many))
    expect(effects.map((effect) => effect.points.length)).to.deep.equal([500, 300])
    expect(effects.flatMap((effect) => effect.points)).to.deep.equal(many.flatMap(otlpPoints))
  })

  it('has nothing to do for an empty batch, with time or in the end', () => {
    const processor = processorOf()
    const plans = [
      give(processor, []),
      processor.onTick({ brokerMs: T0_MS, caughtUp: true }),
      processor.onDrain(),
    ]
    for (const plan of plans) {
      expect(plan).to.deep.equal({
        outputs: [],
        effects: [],
        commit: null,
        wakeMs: Number.POSITIVE_INFINITY,
      })
    }
  })
})
