/** The questions of docs/lake.md, asked of a lake that the pipeline has written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect } from 'chai'
import type { Aggregate, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import { createHealth } from '../../services/bus/health.ts'
import { runStage } from '../../services/bus/run.ts'
import { seriesOf } from '../../services/core/windows/series.ts'
import { exporterConfig } from '../../services/exporter/config.ts'
import { createParquetThread } from '../../services/exporter/parquet-thread.ts'
import { createRangeSink } from '../../services/exporter/range-writer.ts'
import { lakeStage } from '../../services/exporter/stage.ts'
import { createFileStore } from '../../services/lake/file-store.ts'
import { NOON_MS, NOON_US, resourceSample } from '../records.ts'
import { driven } from './driven.ts'
import { createPipeline, type Pipeline } from './harness.ts'
import { send, TRAFFIC } from './play.ts'
import { traffic } from './traffic.ts'

const PAGE = readFileSync(new URL('../../docs/lake.md', import.meta.url), 'utf8')

/** It holds while there is load. */
const RULES = `
rules:
  - { name: busy, groupBy: [], window: 1m, when: { rate: requests, above: 1/s }, cooldown: 1m }
`

type Row = Readonly<Record<string, unknown>>

/** What a question needs for an answer without SQL. */
interface Lake {
  readonly records: readonly TokenEvents[]
  readonly requests: readonly Request[]
  readonly aggregates: readonly Aggregate[]
  readonly triggers: readonly TriggerEvent[]
}

type Request = TokenEvents & { readonly end: NonNullable<TokenEvents['end']> }

/** The smallest value whose cumulative count reaches q·n. */
function quantile(values: readonly (number | null)[], q: number): number | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null
}

/** The largest last item first; of several, the one whose first item is least. */
function byLast(a: readonly [string, ...number[]], b: readonly [string, ...number[]]): number {
  return (b.at(-1) as number) - (a.at(-1) as number) || (a[0] < b[0] ? -1 : 1)
}

function groups<T>(items: readonly T[], key: (item: T) => string): [string, T[]][] {
  return [...Map.groupBy(items, key)].sort(([a], [b]) => (a < b ? -1 : 1))
}

const numbers = (rows: readonly Row[], ...names: string[]) =>
  rows.map((row) => names.map((name) => Number(row[name])))

function e2eOf({ elapsed_us, gaps_us, end }: Request): number | null {
  if (end.status !== 'ok' || end.chunks === 0) return null
  return gaps_us.reduce((sum, gap) => sum + gap, elapsed_us)
}

/** The finest series' tokens of a model, from the gaps themselves. */
function itlOf(records: readonly TokenEvents[], model: string): number[] {
  return records
    .filter((record) => record.model === model)
    .flatMap(({ gaps_us, tokens, first_chunk }) =>
      gaps_us.flatMap((gap, i) => {
        const count = tokens.length > 0 ? tokens[i]! : 1
        return first_chunk + i === 0 ? [] : Array<number>(count).fill(Math.round(gap / count))
      }),
    )
}

const CHECKS: Readonly<Record<string, (rows: readonly Row[], lake: Lake) => void>> = {
  'How fast was each model?'(rows, { requests }) {
    const expected = groups(requests, ({ model, region }) => `${model} ${region}`)
    const got = rows.map((row) => [
      `${row.model} ${row.region}`,
      Number(row.requests),
      row.ttft_p95_ms,
    ])
    expect(got.sort()).deep.equal(
      expected.map(([name, own]) => [
        name,
        own.length,
        quantile(
          own.map((r) => r.end.ttft_us),
          0.95,
        )! / 1000,
      ]),
    )
  },
  'What is the p95 of a whole day, out of its minutes?'(rows, { records }) {
    expect(rows.map(({ model }) => model)).deep.equal(['m-0', 'm-1', 'm-2', 'm-3'])
    for (const row of rows) {
      const exact = itlOf(records, row.model as string)
      expect(Number(row.tokens)).equal(exact.length)
      expect(Number(row.itl_p95_us) / quantile(exact, 0.95)!).within(0.9945, 1.0055)
    }
  },
  'What does each tenant cost?'(rows, { requests }) {
    for (const [tenant, own] of groups(requests, ({ tenant }) => tenant)) {
      const row = rows.find((one) => one.tenant === tenant)!
      const cost = own.reduce((sum, { end }) => sum + (end.cost_usd ?? 0), 0)
      const tokens = own.reduce((sum, { end }) => sum + (end.output_tokens ?? 0), 0)
      expect(row.cost_usd).closeTo(cost, 1e-9)
      expect(Number(row.output_tokens)).equal(tokens)
      expect(row.usd_per_million_tokens).closeTo((1e6 * cost) / tokens, 1e-6)
    }
  },
  'What fails, and when?'(rows, { requests }) {
    const failed = requests.filter(({ end }) => end.status !== 'ok')
    expect(
      numbers(rows, 'requests')
        .flat()
        .reduce((a, b) => a + b, 0),
    ).equal(failed.length)
    const named = failed.filter(({ end }) => end.error_type === 'http_500').length
    const own = rows.filter(({ failure }) => failure === 'http_500')
    expect(
      numbers(own, 'requests')
        .flat()
        .reduce((a, b) => a + b, 0),
    ).equal(named)
    const shares = groups(rows, ({ minute }) => String(minute))
    for (const [, list] of shares) {
      expect(
        numbers(list, 'share_of_failures')
          .flat()
          .reduce((a, b) => a + b, 0),
      ).closeTo(1, 1e-9)
    }
  },
  'Which requests were the slowest, and what were they doing?'(rows, { requests }) {
    const sorted = requests.map((r) => [r.request_id, e2eOf(r) ?? -1] as const)
    const slowest = sorted.toSorted(byLast).slice(0, 10)
    expect(rows.map((row) => [row.request_id, Number(row.e2e_ms) * 1000])).deep.equal(slowest)
  },
  'Where did streams stall?'(rows, { records }) {
    const gaps = records.flatMap((r) =>
      r.gaps_us.map((gap, i) => [r.request_id, r.first_chunk + i, gap] as const),
    )
    const longest = gaps.filter(([, chunk]) => chunk > 0).sort(byLast)
    const got = rows.map((row) => [row.request_id, Number(row.chunk), Number(row.gap_ms) * 1000])
    expect(got).deep.equal(longest.slice(0, 10))
    const [id, chunk] = longest[0]!
    const record = records.find(
      (r) =>
        r.request_id === id && chunk >= r.first_chunk && chunk < r.first_chunk + r.gaps_us.length,
    )!
    const until = record.gaps_us.slice(0, chunk - record.first_chunk + 1).reduce((a, b) => a + b, 0)
    const at = record.started_at + record.elapsed_us + until
    expect(rows[0]!.came_at).contain(new Date(at / 1000).toISOString().slice(14, 23))
  },
  'Which share of the requests met their objectives?'(rows, { requests }) {
    for (const [model, own] of groups(requests, ({ model }) => model)) {
      const good = own.filter((request) => {
        const { status, ttft_us, output_tokens, first_chunk_tokens, chunks } = request.end
        if (status !== 'ok' || ttft_us === null || ttft_us > 100_000) return false
        const tokens = output_tokens! - first_chunk_tokens
        return (
          chunks < 2 || tokens <= 0 || Math.round((e2eOf(request)! - ttft_us) / tokens) <= 5_000
        )
      })
      const row = rows.find((one) => one.model === model)!
      expect(Number(row.requests)).equal(own.length)
      expect(row.goodput).closeTo(good.length / own.length, 1e-9)
    }
  },
  'Is it the KV cache?'(rows, { requests }) {
    // The readings rise once: 20 % for the first minute, 90 % behind it.
    const [low, high] = [true, false].map((isLow) =>
      requests.filter(({ started_at }) => started_at < NOON_US + 60e6 === isLow),
    )
    expect(rows.map((row) => [Number(row.kv_cache_usage), Number(row.requests)])).deep.equal([
      [0.2, low!.length],
      [0.9, high!.length],
    ])
    expect(rows[0]!.ttft_p95_ms).equal(
      quantile(
        low!.map(({ end }) => end.ttft_us),
        0.95,
      )! / 1000,
    )
  },
  'What did late data change?'(rows, { aggregates }) {
    const windows = groups(aggregates, (a) => `${seriesOf(a.series).key} ${a.size_s} ${a.start}`)
    const corrected = windows.filter(([, own]) => own.some(({ revision }) => revision > 0))
    expect(corrected.length).greaterThan(5)
    expect(rows.length).equal(corrected.length)
    const sums = (name: string) =>
      numbers(rows, name)
        .flat()
        .reduce((a, b) => a + b, 0)
    const at = (pick: (own: Aggregate[]) => Aggregate) =>
      corrected.reduce((sum, [, own]) => sum + pick(own).requests, 0)
    expect(sums('requests_at_first')).equal(at((own) => own.find((a) => a.revision === 0)!))
    expect(sums('requests_now')).equal(
      at((own) => own.toSorted((a, b) => b.revision - a.revision)[0]!),
    )
  },
  'How long did each trigger hold?'(rows, { triggers }) {
    const episodes = groups(triggers, ({ trigger_id }) => trigger_id)
    expect(rows.length).equal(episodes.length)
    const [fired, resolved] = episodes[0]![1].sort((a, b) => a.window_end - b.window_end)
    expect(resolved).deep.include({ rule: 'busy', state: 'resolved' })
    const heldMs = resolved!.window_end - fired!.since
    expect(heldMs).greaterThan(60_000)
    expect(numbers(rows, 'held_s')).deep.equal([[heldMs / 1000]])
  },
}

describe('docs/lake.md', function () {
  this.timeout(180_000)
  const folder = mkdtempSync(join(tmpdir(), 'lens-questions-'))
  const questions = [...PAGE.matchAll(/^### (.+)\n[^#]*?```sql\n([^`]+)```/gm)].map(
    ([, title, sql]) => [title!, sql!] as const,
  )
  let lake: Lake
  let ask: (sql: string) => Promise<readonly Row[]>

  before(async () => {
    const rules = join(folder, 'rules.yaml')
    writeFileSync(rules, RULES)
    const argv = { triggers: ['--rules', rules] }
    const pipeline = await createPipeline({ startMs: NOON_MS, argv })
    await play(pipeline)
    await exportAll(pipeline)
    const records = await pipeline.read<TokenEvents>(TOKEN_EVENTS)
    const requests = records.filter((record): record is Request => record.end !== null)
    const aggregates = await pipeline.read<Aggregate>(AGGREGATES)
    const triggers = await pipeline.read<TriggerEvent>(TRIGGER_EVENTS)
    lake = { records, requests, aggregates, triggers }
    const connection = await (await DuckDBInstance.create()).connect()
    ask = async (sql) => {
      const reader = await connection.runAndReadAll(sql.replaceAll('data/lake', folder))
      return reader.getRowObjectsJson()
    }
  })
  after(() => rmSync(folder, { recursive: true }))

  /** Three minutes of load, some of it late, then silence until triggers have resolved. */
  async function play(pipeline: Pipeline): Promise<void> {
    const sent = traffic({ ...TRAFFIC, requests: 900, seed: 7 })
    const priced = sent.map(({ record, ...when }, i) => {
      const end = record.end && { ...record.end, cost_usd: i % 4 === 0 ? null : i / 1e5 }
      return { ...when, record: { ...record, end } }
    })
    const endpoints = [0, 1, 2, 3, 4].map((i) => `e-${i}`)
    const readings = endpoints.flatMap((endpoint) => [
      resourceSample({ endpoint, name: 'kv_cache_usage', at: NOON_US - 1e6, value: 0.2 }),
      resourceSample({ endpoint, name: 'kv_cache_usage', at: NOON_US + 60e6, value: 0.9 }),
      resourceSample({ endpoint, name: 'requests_waiting', at: NOON_US + 60e6, value: 3 }),
    ])
    await pipeline.produceSamples(readings)
    await send(pipeline, priced)
    await pipeline.pass(20 * 60_000)
  }

  async function exportAll(pipeline: Pipeline): Promise<void> {
    const { bus, codec, clock } = pipeline
    const sink = createRangeSink(createFileStore(folder), createParquetThread())
    const health = createHealth('exporter')
    const spec = lakeStage(exporterConfig.parse({ rowsMax: 500 }), sink, health)
    const onFailure = (error: unknown) => expect.fail(String(error))
    const parts = { bus, codec, clock, health, log: () => {}, onFailure }
    const stage = await runStage(spec, parts)
    await bus.settle()
    await driven(pipeline, stage.stop())
  }

  it('has ten questions, and a check of each answer', () => {
    expect(questions.map(([title]) => title)).deep.equal(Object.keys(CHECKS))
    expect(questions).length(10)
  })

  for (const [title, sql] of questions) {
    it(title, async () => {
      const rows = await ask(sql)
      expect(rows.length).greaterThan(0)
      CHECKS[title]!(rows, lake)
    })
  }
})
