import { expect } from 'chai'
import type { Aggregate } from '../../schemas/records.ts'
import { AGGREGATES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Bus } from '../../services/bus/port.ts'
import { DEFAULT_WINDOWS } from '../../services/core/windows/hopping.ts'
import { DEFAULT_GROUPINGS, seriesOf } from '../../services/core/windows/series.ts'
import { verdict } from '../../services/lens/audit-report.ts'
import { runAudit } from '../../services/lens/audit-run.ts'
import { publishableOf } from '../../services/lens/replay.ts'
import { publishReplay, type Replayed, runReplay } from '../../services/lens/replay-run.ts'
import { NOON_MS, NOON_US, resourceSample, wholeRequest } from '../records.ts'
import { driven } from './driven.ts'
import { createPipeline, type Pipeline } from './harness.ts'
import { latest } from './oracle.ts'
import { traffic } from './traffic.ts'

const LATENESS_MS = 120_000
const PLAN = { groupings: DEFAULT_GROUPINGS, series: null, futureMs: 60_000 }
const TRAFFIC = {
  ...{ seed: 11, requests: 200, series: 6, startUs: NOON_US, spanUs: 240e6, chunksMax: 60 },
  ...{ lateShare: 0.2, lateUsMax: 60e6 },
}

function replayOf(
  pipeline: Pipeline,
  more: { sizeMs: number; startsMs: readonly number[]; series?: Record<string, string> },
  bus: Bus = pipeline.bus,
): Promise<Replayed> {
  const series = more.series ? seriesOf(more.series) : null
  const parts = { bus, codec: pipeline.codec, log: () => {} }
  return driven(pipeline, runReplay(parts, { ...PLAN, ...more, series }))
}

async function played(more: Partial<typeof TRAFFIC> = {}): Promise<Pipeline> {
  const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3 })
  const sent = traffic({ ...TRAFFIC, ...more })
  const samples = Array.from({ length: 40 }, (_, i) =>
    resourceSample({ at: NOON_US + i * 5e6, endpoint: `e-${i % 3}`, value: i / 40 }),
  )
  await pipeline.produceSamples(samples)
  for (let i = 0; i < sent.length; ) {
    await pipeline.pass(500)
    const due: typeof sent = []
    while (i < sent.length && sent[i]!.sendUs <= pipeline.clock.nowMs() * 1000) due.push(sent[i++]!)
    await pipeline.produce(due.map(({ record }) => record))
    await pipeline.settle()
  }
  await pipeline.pass(40_000)
  return pipeline
}

function statuses({ windows }: Replayed): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status } of windows) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

describe('pipeline/replay', () => {
  let pipeline: Pipeline

  before(async () => {
    pipeline = await played()
  })

  it('recomputes every window of every size and series, byte for byte', async () => {
    const startsMs = [0, 1, 2, 3].map((i) => NOON_MS + i * 60_000)
    const minutes = await replayOf(pipeline, { sizeMs: 60_000, startsMs })
    expect(Object.keys(statuses(minutes)), JSON.stringify(statuses(minutes))).deep.equal([
      'identical',
    ])
    expect(minutes.windows.length).greaterThan(60)
    const revised = minutes.windows.filter(({ published }) => published!.revision > 0)
    expect(revised.length, 'late data must have revised some').greaterThan(5)
    const gauges = minutes.windows.filter(({ published }) => published!.gauges.gpu_utilization)
    expect(gauges.length).greaterThan(5)
    const before = [-240_000, -180_000].map((ms) => NOON_MS + ms)
    const five = await replayOf(pipeline, { sizeMs: 300_000, startsMs: before })
    expect(statuses(five)).have.all.keys('identical')
  })

  it('looks at one series alone', async () => {
    const more = { sizeMs: 60_000, startsMs: [NOON_MS], series: { model: 'm-1' } }
    const { windows } = await replayOf(pipeline, more)
    expect(windows).length(1)
    expect(windows[0]).include({ status: 'identical' })
    expect(windows[0]!.published!.requests).greaterThan(5)
  })

  it('says which fields differ, publishes the next revision, and is identical then', async () => {
    const fresh = await played({ lateShare: 0 })
    const late = wholeRequest({ request_id: 'late', model: 'm-1', started_at: NOON_US })
    await fresh.pass(300_000)
    await fresh.produce([late])
    await fresh.produce([wholeRequest({ request_id: 'new', started_at: NOON_US + 900e6 })])
    await fresh.pass(60_000)
    expect(fresh.health.statistics.totals()).include.keys('too_late_window')
    const more = { sizeMs: 60_000, startsMs: [NOON_MS], series: { model: 'm-1' } }
    const outcome = await replayOf(fresh, more)
    const [window] = outcome.windows
    const { requests, revision } = window!.published!
    expect(window!.status).equal('differs')
    expect(window!.fields).include.members([
      ...[`requests ${requests} -> ${requests + 1}`, 'metrics.ttft_us', 'metrics.e2e_us'],
    ])
    expect(publishableOf(outcome, 86_400_000), 'too young').deep.equal([])
    const due = publishableOf(outcome, LATENESS_MS)
    expect(due).deep.equal([window])
    await publishReplay(fresh, due)
    const key = `{"model":"m-1"} 60 ${NOON_MS}`
    const standing = latest(await fresh.read<Aggregate>(AGGREGATES)).get(key)!
    expect(standing).include({ requests: requests + 1, revision: revision + 1, final: true })
    expect(statuses(await replayOf(fresh, more))).deep.equal({ identical: 1 })
    // The audit takes what had been too late as counted now.
    const times = { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY }
    const plan = { ...DEFAULT_WINDOWS, ...times, latenessMs: LATENESS_MS, lake: null }
    const parts = { ...fresh, log: () => {} }
    const audit = runAudit(parts, { ...plan, series: { model: 'm-1' } })
    expect(verdict(await driven(fresh, audit))).equal('audit: clean')
  })

  it('tells what is missing from what the raw topic does not hold', async () => {
    const fresh = await createPipeline({ startMs: NOON_MS, partitions: 1, stages: ['windowing'] })
    await fresh.produce([wholeRequest({ model: 'm-1' })])
    await fresh.pass(20_000)
    const more = { sizeMs: 60_000, startsMs: [NOON_MS], series: { model: 'm-1' } }
    const missing = await replayOf(fresh, more)
    expect(statuses(missing)).deep.equal({ missing: 1 })
    expect(publishableOf(missing, LATENESS_MS), 'nothing is closed').deep.equal([])
    const sink = await fresh.bus.sink()
    const other = { ...missing.windows[0]!.recomputed!, series: { model: 'm-2' } }
    const bytes = fresh.codec.encode(AGGREGATES, other)
    await sink.append(AGGREGATES, 0, [{ key: null, value: bytes }])
    const unknown = await replayOf(fresh, { ...more, series: { model: 'm-2' } })
    expect(statuses(unknown)).deep.equal({ 'not in raw': 1 })
    expect(publishableOf(unknown, 0)).deep.equal([])
  })

  it('publishes nothing when the raw topic has lost its oldest records', async () => {
    const cut: Bus = {
      ...pipeline.bus,
      async offsets(topic) {
        const ranges = await pipeline.bus.offsets(topic)
        return topic === TOKEN_EVENTS ? ranges.map((r) => ({ ...r, first: r.first + 20 })) : ranges
      },
    }
    const outcome = await replayOf(pipeline, { sizeMs: 60_000, startsMs: [NOON_MS] }, cut)
    expect(outcome.isPartial).equal(true)
    expect(statuses(outcome).differs).greaterThan(5)
    expect(publishableOf(outcome, 0)).deep.equal([])
  })
})
