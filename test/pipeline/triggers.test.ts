import { expect } from 'chai'
import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES_LIVE } from '../../schemas/topics.ts'
import { NOON_MS, NOON_US, resourceSample, wholeRequest } from '../records.ts'
import { createPipeline, type Pipeline } from './harness.ts'

/** `perSecond` requests a second for `seconds`, each ending after `e2eUs`, then nothing. */
async function load(
  pipeline: Pipeline,
  seconds: number,
  perSecond: number,
  more: { e2eUs?: number; failing?: boolean; gpu?: number } = {},
): Promise<void> {
  const { e2eUs = 50_000, failing = false, gpu } = more
  for (let s = 0; s < seconds; s++) {
    const startedAt = pipeline.clock.nowMs() * 1000
    const requests = Array.from({ length: perSecond }, (_, i) => {
      const events = { request_id: `${startedAt}-${i}`, started_at: startedAt + i }
      const end = failing ? { status: 'error' as const, error_type: 'http_500' } : {}
      return wholeRequest({ ...events, gaps_us: [10_000, e2eUs - 10_000] }, end)
    })
    await pipeline.produce(requests)
    if (gpu !== undefined) {
      await pipeline.produceSamples([resourceSample({ at: startedAt, value: gpu })])
    }
    await pipeline.pass(1_000)
  }
}

function told(events: readonly TriggerEvent[], rule: string): string[] {
  return events
    .filter((event) => event.rule === rule)
    .sort((a, b) => a.window_end - b.window_end)
    .map(({ state, window_end }) => `${(window_end - NOON_MS) / 60_000}m ${state}`)
}

describe('pipeline/triggers', function () {
  this.timeout(60_000)

  it('fires the rule on throughput when the load stops, with no new traffic', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS })
    await load(pipeline, 7 * 60, 12)
    expect(told(await pipeline.triggerEvents(), 'throughput-low')).deep.equal([])
    await pipeline.pass(3 * 60_000)
    const events = await pipeline.triggerEvents()
    expect(told(events, 'throughput-low')).deep.equal(['8m firing'])
    const [event] = events.filter(({ rule }) => rule === 'throughput-low')
    expect(event).deep.include({ series: {}, size_s: 300, thresholds: { 'requests.rate': 10 } })
    expect(event!.observed['requests.rate']).closeTo(9.6, 0.2)
  })

  it('fires GPU and p95 together only when both hold, and resolves', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS })
    await load(pipeline, 60, 3, { e2eUs: 300_000, gpu: 0.5 })
    await load(pipeline, 6 * 60, 3, { e2eUs: 300_000, gpu: 0.99 })
    await load(pipeline, 4 * 60, 3, { e2eUs: 50_000, gpu: 0.2 })
    const events = await pipeline.triggerEvents()
    const [first, ...others] = told(events, 'gpu-saturated-and-slow')
    expect(first).match(/^[5-6]m firing$/)
    expect(others.length).equal(1)
    expect(others[0]).match(/resolved$/)
    const [event] = events.filter(({ rule }) => rule === 'gpu-saturated-and-slow')
    expect(event!.series).deep.equal({ endpoint: 'e-1' })
    expect(event!.observed['gpu_utilization.mean']).greaterThan(0.9)
  })

  it('fires on errors within a minute and respects the cooldown', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS })
    await load(pipeline, 70, 2, { failing: true })
    await load(pipeline, 60, 2)
    await load(pipeline, 130, 2, { failing: true })
    await pipeline.pass(20_000)
    const events = told(await pipeline.triggerEvents(), 'error-rate-high')
    expect(events).deep.equal(['1m firing', '3m resolved'].slice(0, events.length))
    expect(events.length).greaterThan(0)
  })

  it('gives the same events when triggers is stopped and started in between', async () => {
    const play = async (isRestarted: boolean) => {
      const pipeline = await createPipeline({ startMs: NOON_MS })
      for (let minute = 0; minute < 8; minute++) {
        await load(pipeline, 60, 2, { failing: minute % 2 === 0 })
        if (isRestarted) await pipeline.stop('triggers')
        if (isRestarted) await pipeline.start('triggers')
      }
      return (await pipeline.triggerEvents()).map((event) => JSON.stringify(event)).sort()
    }
    const plain = await play(false)
    expect(plain.length).greaterThan(2)
    expect(await play(true)).deep.equal(plain)
  })

  it('publishes live results of open windows within seconds, and never to the final topic', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS })
    await load(pipeline, 20, 5)
    const live = await pipeline.read<Aggregate>(AGGREGATES_LIVE)
    const fleet = live.filter(({ series }) => Object.keys(series).length === 0)
    expect(fleet.some(({ size_s, requests }) => size_s === 60 && requests >= 50)).equal(true)
    expect(live.every(({ final }) => !final)).equal(true)
    expect((await pipeline.aggregates()).every(({ final }) => final)).equal(true)
  })

  it('lets no clock of a producer close the windows of others', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS })
    const ahead = wholeRequest({ request_id: 'ahead', started_at: NOON_US + 3600e6 })
    await pipeline.produce([ahead])
    await load(pipeline, 70, 1)
    await pipeline.pass(15_000)
    const minute = (await pipeline.aggregates()).filter(
      ({ series, size_s, start }) =>
        Object.keys(series).length === 0 && size_s === 60 && start === NOON_MS,
    )
    expect(minute.map(({ requests, revision }) => [requests, revision])).deep.equal([[60, 0]])
    expect(pipeline.health.windowing.totals().dead).equal(1)
  })
})
