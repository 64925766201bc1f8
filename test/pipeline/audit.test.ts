import { expect } from 'chai'
import type { Aggregate, WindowSlice } from '../../schemas/records.ts'
import { AGGREGATES, DEAD_LETTERS, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Fault, Step } from '../../services/bus/memory-fault.ts'
import type { Bus, LogRecord } from '../../services/bus/port.ts'
import { createRandom } from '../../services/core/random.ts'
import { DEFAULT_WINDOWS } from '../../services/core/windows/hopping.ts'
import { type AuditResult, renderAudit, verdict } from '../../services/lens/audit-report.ts'
import { type AuditPlan, runAudit } from '../../services/lens/audit-run.ts'
import { NOON_MS, NOON_US, resourceSample } from '../records.ts'
import { driven } from './driven.ts'
import { createPipeline, type Pipeline } from './harness.ts'
import { send, TRAFFIC } from './play.ts'
import { traffic } from './traffic.ts'

const PLAN: AuditPlan = {
  ...DEFAULT_WINDOWS,
  latenessMs: 120_000,
  sinceMs: Number.NEGATIVE_INFINITY,
  untilMs: Number.POSITIVE_INFINITY,
  series: null,
  lake: null,
}

const FEWER = { ...TRAFFIC, requests: 150 }

/** Sends the traffic and a bad record as time passes, then lets 40 s pass. */
async function play(
  pipeline: Pipeline,
  sent: ReturnType<typeof traffic>,
  atTimes: () => Promise<void> = async () => {},
) {
  const samples = [0, 1, 2].map((i) =>
    resourceSample({ at: NOON_US + i * 1e6, endpoint: `e-${i}` }),
  )
  await pipeline.produceSamples(samples)
  await pipeline.produceBytes(TOKEN_EVENTS, 1, Buffer.from('no avro'))
  await send(pipeline, sent, async (turn) => {
    if (turn % 37 === 0) await atTimes()
  })
  await pipeline.pass(40_000)
}

/** What becomes of a record as the audit reads it; null when it is lost. */
type Damage = (topic: string, partition: number, record: LogRecord) => LogRecord | null

/** The bus with damaged records; offsets stay, as in a log with holes. */
function damagedBus(bus: Bus, damage: Damage): Bus {
  return {
    ...bus,
    source(group, topics) {
      const source = bus.source(group, topics)
      return {
        ...source,
        run: (handlers) =>
          source.run({
            ...handlers,
            batch(batch, delivery) {
              const { topic, partition } = batch
              const records = batch.records.flatMap(
                (record) => damage(topic, partition, record) ?? [],
              )
              return handlers.batch({ ...batch, records }, delivery)
            },
          }),
      }
    },
  }
}

function auditOf(
  pipeline: Pipeline,
  plan: Partial<AuditPlan> = {},
  damage: Damage = (_topic, _partition, record) => record,
): Promise<AuditResult> {
  const parts = { codec: pipeline.codec, bus: damagedBus(pipeline.bus, damage), log: () => {} }
  return driven(pipeline, runAudit(parts, { ...PLAN, ...plan }))
}

/** Damages the first record of a topic, after `skip` others, that fits. */
function once(
  of: string,
  fits: (value: never) => boolean,
  make: (value: never) => object | null,
  { codec }: Pipeline,
  skip = 0,
): Damage {
  const decode = codec.decoder(of)
  let left = skip
  let place = ''
  return (topic, partition, record) => {
    if (topic !== of) return record
    const { value } = decode(record.value, record.appendMs)
    const here = `${partition}/${record.offset}`
    // The topic may be read again: it is the same record each time.
    if (place === '' && fits(value as never) && left-- <= 0) place = here
    if (place !== here) return record
    const made = make(value as never)
    return made && { ...record, value: codec.encode(of, made) }
  }
}

/** A pipeline that ran for three minutes in good order, with one dead letter. */
async function played(argv: readonly string[] = []): Promise<Pipeline> {
  const options = { startMs: NOON_MS, partitions: 2, argv: { windowing: argv } }
  const pipeline = await createPipeline(options)
  await play(pipeline, traffic({ ...FEWER, lateShare: 0, seed: 4 }))
  return pipeline
}

const isOf =
  (...dimensions: string[]) =>
  ({ series }: WindowSlice | Aggregate) =>
    series !== null && Object.keys(series).join() === dimensions.join()
const isOfFleet = isOf()
const isOfModel = isOf('model')

describe('pipeline/audit', () => {
  const seeds = Number(process.env.LENS_SEEDS ?? 4)
  let repeats = 0
  let tooLate = 0
  for (let seed = 1; seed <= seeds; seed++) {
    it(`is clean after crashes at any step and repeats, all counted (seed ${seed})`, async () => {
      const random = createRandom(seed)
      let striking = true
      const fault = (step: Step): Fault => {
        const x = striking ? random() : 1
        if (x < 0.004) return 'crash'
        return step === 'deliver' && x < 0.02 ? 'repeat' : 'go'
      }
      const pick = (n: number) => Math.floor(random() * n)
      const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3, fault, pick })
      const late = seed % 2 ? {} : { lateShare: 0.3, lateUsMax: 900e6, spanUs: 400e6 }
      const sent = traffic({ ...FEWER, ...late, seed })
      await play(pipeline, sent)
      striking = false
      await pipeline.pass(20_000)
      const result = await auditOf(pipeline)
      expect(renderAudit(result).at(-1), renderAudit(result).join('\n')).equal('audit: clean')
      const total = (name: 'raw' | 'counted' | 'dead' | 'repeats') =>
        result.sources.reduce((sum, row) => sum + row[name], 0)
      const [minutes] = result.windows
      expect(pipeline.crashes.count).greaterThan(3)
      repeats += total('repeats')
      tooLate += minutes!.late
      expect([total('raw'), total('counted'), total('dead')]).deep.equal([
        ...[sent.length + 4, sent.length + 3, 1],
      ])
      expect(minutes).include({ sizeS: 60, sliced: 150, late: 150 - minutes!.counted, pending: 0 })
    }).timeout(60_000)
  }

  it('has seen repeats and late data in these runs', () => {
    expect(repeats).greaterThan(20)
    expect(tooLate).greaterThan(5)
  })

  it('is clean at any moment of a run', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 3 })
    const late = { lateShare: 0.3, lateUsMax: 300e6 }
    let times = 0
    await play(pipeline, traffic({ ...FEWER, ...late, seed: 12 }), async () => {
      const result = await auditOf(pipeline)
      expect(verdict(result), renderAudit(result).join('\n')).equal('audit: clean')
      times++
    })
    expect(times).greaterThan(10)
  })

  it('tells what was too late for its window from what was lost', async () => {
    const pipeline = await createPipeline({ startMs: NOON_MS, partitions: 2 })
    const late = { lateShare: 0.3, lateUsMax: 900e6, spanUs: 600e6 }
    await play(pipeline, traffic({ ...FEWER, ...late, seed: 9 }))
    const result = await auditOf(pipeline)
    expect(renderAudit(result).at(-1), renderAudit(result).join('\n')).equal('audit: clean')
    const [minutes] = result.windows
    expect(minutes!.late).greaterThan(5)
    expect(minutes!.counted + minutes!.late).equal(minutes!.sliced)
    // The same results are wrong for an audit that believes that nothing was too late.
    const patient = await auditOf(pipeline, { latenessMs: 3_600_000 })
    expect(verdict(patient)).match(/FIRST DISCREPANCY window: .* 0 of them too late/)
  })

  it('compares every grouping, the fleet or none', async () => {
    const pipeline = await played(['--groupings', 'model;model,tenant'])
    const result = await auditOf(pipeline)
    expect(renderAudit(result).at(-1), renderAudit(result).join('\n')).equal('audit: clean')
    expect(result.groupings).deep.equal(['model', 'model,tenant'])
    expect(result.sources.reduce((sum, row) => sum + row.slicedRequests, 0)).equal(150)
    const rows = result.windows.map(({ of, sizeS, counted }) => `${of} ${sizeS}: ${counted}`)
    expect(rows).include.members(['[model] 60: 150', '[model,tenant] 60: 150'])
  })

  it('compares one series when asked to', async () => {
    const series = { model: 'm-1' }
    const result = await auditOf(await played(), { series })
    expect(renderAudit(result).at(-1), renderAudit(result).join('\n')).equal('audit: clean')
    expect(result.windows.map(({ of }) => of)).deep.equal(new Array(3).fill('{"model":"m-1"}'))
    expect(result.windows[0]!.counted).within(10, 140)
  })

  it('looks at whole ranges between two times', async () => {
    const pipeline = await played()
    const [sinceMs, untilMs] = [NOON_MS + 60_000, NOON_MS + 120_000]
    const all = await auditOf(pipeline)
    const result = await auditOf(pipeline, { sinceMs, untilMs })
    expect(renderAudit(result).at(-1), renderAudit(result).join('\n')).equal('audit: clean')
    const [row, whole] = [result.sources[0]!, all.sources[0]!]
    expect(row.from).greaterThan(0)
    expect(row.end).lessThan(whole.end)
    expect(row.raw)
      .equal(row.end - row.from)
      .and.within(10, whole.raw - 10)
    expect(result.windows[0]!.windows).equal(1)
  })

  describe('names what', () => {
    let pipeline: Pipeline

    before(async () => {
      pipeline = await played()
    })

    const damages: [string, RegExp, (pipeline: Pipeline) => Damage][] = [
      [
        'lost a record of a series',
        /^incomplete: lens.token-events-\d: \[\d+, \d+\) in slices-\d has \d+ of \d+ records/,
        (p) =>
          once(
            WINDOW_SLICES,
            (v: WindowSlice) => v.slices.length > 0,
            () => null,
            p,
            20,
          ),
      ],
      [
        'lost a closing record',
        /^gap: lens.token-events-\d: slices-\d has nothing of \[\d+, \d+\), other/,
        (p) =>
          once(
            WINDOW_SLICES,
            (v: WindowSlice) => !!v.closing?.records,
            () => null,
            p,
            9,
          ),
      ],
      [
        'counts a request more',
        /^counted: lens.token-events-\d: \[\d+, \d+\): (\d+) requests in the raw records, \d+ in/,
        (p) => once(WINDOW_SLICES, isOfFleet, oneMoreInSlice, p, 5),
      ],
      [
        'says another number of records',
        /^closing: lens.token-events-\d: slices-\d says/,
        (p) => once(WINDOW_SLICES, (v: WindowSlice) => !!v.closing?.records, oneMoreRecord, p, 9),
      ],
      [
        'lost a dead letter',
        /^dead_letters: lens.token-events-1: the record at 0 cannot be decoded/,
        (p) =>
          once(
            DEAD_LETTERS,
            () => true,
            () => null,
            p,
          ),
      ],
      [
        'lost a raw record',
        /^records: lens.token-events-0: \[\d+, \d+\) counts \d+ records, the topic has \d+/,
        (p) =>
          once(
            TOKEN_EVENTS,
            () => true,
            () => null,
            p,
            30,
          ),
      ],
      [
        'lost a result',
        /^window: lens.aggregates \[\]: 60 s from 2026-11-24T12:0\d:00.000Z was not published; \d+/,
        (p) => once(AGGREGATES, isFleetMinute, () => null, p),
      ],
      [
        'has a result of one request more',
        /^window: lens.aggregates \[\]: 60 s from .*: (\d+) requests in the result, \d+ in/,
        (p) =>
          once(
            AGGREGATES,
            isFleetMinute,
            (v: Aggregate) => ({ ...v, requests: v.requests + 1 }),
            p,
          ),
      ],
      [
        'counts a request more in any series',
        /^counted: lens.token-events-\d: .* in the slices of grouping \[model\]/,
        (p) => once(WINDOW_SLICES, isOfModel, oneMoreInSlice, p, 5),
      ],
      [
        'lost a result of any series',
        /^window: lens.aggregates \[model\]: 60 s from .*requests in the result, \d+ in/,
        (p) => once(AGGREGATES, isMinute(isOfModel), () => null, p),
      ],
    ]
    for (const [what, expected, damage] of damages) {
      it(what, async () => {
        const result = await auditOf(pipeline, {}, damage(pipeline))
        const { kind, place, text } = result.findings.list[0]!
        expect(`${kind}: ${place}: ${text}`).match(expected)
        expect(verdict(result)).contain(`audit: FIRST DISCREPANCY ${kind}: ${place}`)
      })
    }
  })
})

function isMinute(isOf: (value: Aggregate) => boolean) {
  return (value: Aggregate) =>
    isOf(value) && value.size_s === 60 && value.requests > 0 && value.revision === 0
}

const isFleetMinute = isMinute(isOfFleet)

function oneMoreInSlice(value: WindowSlice): WindowSlice {
  const [first, ...rest] = value.slices
  return { ...value, slices: [{ ...first!, requests: first!.requests + 1 }, ...rest] }
}

function oneMoreRecord(value: WindowSlice): WindowSlice {
  return { ...value, closing: { ...value.closing!, records: value.closing!.records + 1 } }
}
