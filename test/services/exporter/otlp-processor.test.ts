import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { AGGREGATES } from '../../../schemas/topics.ts'
import type { Commit, Decoded, Plan } from '../../../services/core/processor.ts'
import {
  createOtlpProcessor,
  type OtlpExport,
  type OtlpOptions,
  type OtlpProcessor,
  POINTS_MAX,
} from '../../../services/exporter/otlp-processor.ts'
import { otlpPoints } from '../../../services/formats/otlp.ts'
import { viewPoints } from '../../../services/formats/otlp-views.ts'
import { aggregate, T0_MS } from '../formats/records.ts'
import { assignment } from './lake-log.ts'

const GROUPING = ['model', 'endpoint', 'region', 'tenant']

function processorOf(
  more: Partial<OtlpOptions> = {},
  committed: Commit | null = null,
): OtlpProcessor {
  const place = { ...assignment(committed), topic: AGGREGATES, partition: 4 }
  return createOtlpProcessor(place, {
    grouping: GROUPING,
    views: [],
    temporality: 'cumulative',
    ...more,
  })
}

function recordsOf(aggregates: readonly Aggregate[]): Decoded[] {
  return aggregates.map((value, offset) => ({ offset, appendMs: T0_MS, value, bad: null }))
}

function give(processor: OtlpProcessor, records: readonly Decoded[]): Plan<OtlpExport> {
  return processor.onBatch({ topic: AGGREGATES, partition: 4, records })
}

/** As many minutes of one series, one behind the other, which go over the end of a stream. */
function minutes(count: number): Aggregate[] {
  const beginMs = Math.ceil(T0_MS / 21_600_000) * 21_600_000 - 5 * 60_000
  return Array.from({ length: count }, (_, i) => {
    const start = beginMs + i * 60_000
    return aggregate({ start, end: start + 60_000, requests: i + 1 })
  })
}

function pointsOf({ effects }: Plan<OtlpExport>) {
  return effects.flatMap(({ points }) => points)
}

describe('exporter/otlp-processor', () => {
  it('starts where the last owner committed', () => {
    expect(processorOf().startOffset).to.equal(null)
    expect(processorOf({}, { offset: 9, metadata: '' }).startOffset).to.equal(9)
    // Where its stream began.
    expect(processorOf({}, { offset: 9, metadata: '{"from":3}' }).startOffset).to.equal(3)
  })

  it('sends the final minutes of one grouping, and commits after them', () => {
    const own = aggregate()
    const plan = give(processorOf(), recordsOf([own]))
    expect(plan).to.deep.equal({
      outputs: [],
      effects: [{ kind: 'otlp-export', points: otlpPoints(own), instance: 'lens.aggregates-4' }],
      commit: { offset: 1, metadata: '{"from":0}' },
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
    expect(plan.commit).to.deep.equal({ offset: 6, metadata: '{"from":0}' })
    expect(processor.stats).to.deep.equal({
      records: 6,
      bad: 1,
      otherSeries: 4,
      revisions: 1,
      exported: 0,
      views: 0,
      repeats: 0,
      folded: 0,
      late: 0,
      points: 0,
    })
  })

  it('leaves out windows that overlap others', () => {
    const processor = processorOf()
    give(processor, recordsOf([aggregate({ start: T0_MS + 30_000, end: T0_MS + 90_000 })]))
    expect(processor.stats).to.deep.include({ exported: 0, otherSeries: 1 })
  })

  it('goes on with the sums of the owner before, whenever that was', () => {
    const log = recordsOf(minutes(12))
    const whole = pointsOf(give(processorOf(), log))
    for (let at = 1; at < log.length; at++) {
      const { commit } = give(processorOf(), log.slice(0, at))
      const next = processorOf({}, commit)
      const rest = pointsOf(give(next, log.slice(next.startOffset!)))
      expect(rest).to.deep.equal(whole.slice(-rest.length))
      expect(rest.length).to.equal(
        whole.length - pointsOf(give(processorOf(), log.slice(0, at))).length,
      )
      expect(next.stats).to.deep.include({ records: log.length - at })
    }
  })

  it('says all at once behind what it reads again, to whoever keeps it in memory', () => {
    const log = recordsOf(minutes(3))
    const committed = { offset: 3, metadata: '{"from":0}' }
    const whole = pointsOf(give(processorOf(), log)).slice(-otlpPoints(aggregate()).length)
    const next = processorOf({ saysAll: true }, committed)
    expect(give(next, log.slice(0, 2)).effects).to.deep.equal([])
    const last = give(next, log.slice(2))
    expect(pointsOf(last)).to.deep.equal(whole)
    expect(last.commit).to.equal(null)
    // The last record may be gone: then when there is nothing more to read.
    const other = processorOf({ saysAll: true }, { ...committed, offset: 4 })
    expect(give(other, log).wakeMs).to.equal(Number.NEGATIVE_INFINITY)
    const early = other.onTick({ brokerMs: T0_MS, caughtUp: false })
    expect(early).to.deep.include({ effects: [], wakeMs: T0_MS + 200 })
    const tick = other.onTick({ brokerMs: T0_MS, caughtUp: true })
    expect(pointsOf(tick)).to.deep.equal(whole)
    expect(other.onTick({ brokerMs: T0_MS, caughtUp: true }).effects).to.deep.equal([])
  })

  it('says nothing while it reads what the owner before has said', () => {
    const log = recordsOf(minutes(4))
    const next = processorOf({}, { offset: 4, metadata: '{"from":0}' })
    const plan = give(next, log)
    expect(plan).to.deep.include({ effects: [], commit: null })
    expect(next.stats).to.deep.include({ records: 0, exported: 0 })
  })

  it('sends larger windows of some groupings as gauges, each as it is', () => {
    const processor = processorOf({ views: [['model'], ['region', 'endpoint']] })
    const windows = [300, 900, 60].flatMap((size_s) => [
      aggregate({ size_s, series: { model: 'llama' } }),
      aggregate({ size_s, series: { endpoint: 'e', region: 'r' } }),
      aggregate({ size_s, series: { model: 'llama' }, revision: 1 }),
      aggregate({ size_s, series: { tenant: 't' } }),
    ])
    const plan = give(processor, recordsOf(windows))
    const wanted = [windows[0]!, windows[1]!, windows[4]!, windows[5]!].flatMap(viewPoints)
    expect(pointsOf(plan)).to.deep.equal(wanted)
    expect(processor.stats).to.deep.include({ views: 4, exported: 0, otherSeries: 8 })
  })

  it('says a larger window once, and none behind a later one, whoever was there before', () => {
    const size = { size_s: 300, series: { model: 'llama' } }
    const at = (minutes: number) => {
      const end = T0_MS + minutes * 60_000
      return aggregate({ ...size, start: end - 300_000, end })
    }
    const [first, second] = [at(6), at(7)]
    const processor = processorOf({ views: [['model']] })
    const ends = (plan: Plan<OtlpExport>) =>
      new Set(pointsOf(plan).map(({ point }) => point.endTime[0] * 1000))
    const plan = give(processor, recordsOf([second, first, second]))
    expect(ends(plan)).to.deep.equal(new Set([second.end]))
    expect(processor.stats).to.deep.include({ views: 1, repeats: 2 })
    // To a scrape the next owner says the last one, though a stream has begun in between.
    const log = recordsOf([first, second, ...minutes(7)])
    const next = processorOf(
      { views: [['model']], saysAll: true },
      { offset: log.length, metadata: '{"from":0}' },
    )
    expect(ends(give(next, log)).has(second.end)).to.equal(true)
  })

  it('need not be read from long ago where no series of its own has windows', () => {
    const log = recordsOf(minutes(1).map((window) => ({ ...window, series: { model: 'llama' } })))
    const far = { ...log[0]!, offset: 50_000 }
    const { commit } = give(processorOf({ views: [['model']] }), [...log, far])
    expect(JSON.parse(commit!.metadata)).to.deep.equal({ from: 40_000 })
    // Once something is counted, from where that began.
    const own = { ...recordsOf(minutes(1))[0]!, offset: 50_001 }
    const counted = give(processorOf(), [...log, own, { ...far, offset: 90_000 }])
    expect(JSON.parse(counted.commit!.metadata)).to.deep.equal({ from: 50_001 })
  })

  it('takes the grouping in any order of its dimensions', () => {
    const processor = processorOf({ grouping: ['tenant', 'model'] })
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
