import { expect } from 'chai'
import fc from 'fast-check'
import {
  AGGREGATES,
  RESOURCE_SAMPLES,
  TOKEN_EVENTS,
  TRIGGER_EVENTS,
} from '../../../schemas/topics.ts'
import { DATASETS, datasetNamed, datasetsOf } from '../../../services/formats/datasets.ts'
import { RECORDS } from './arbitraries.ts'
import { aggregate, distributionOf, T0_MS, tokenEvents, triggerEvent } from './records.ts'
import { rowOf } from './row-of.ts'

describe('formats/datasets', () => {
  it('has each column name once, and where each row comes from', () => {
    for (const { name, columns } of DATASETS) {
      const names = columns.map((column) => column.name)
      expect(new Set(names).size, name).to.equal(names.length)
      expect(names, name).to.include.members(['kafka_partition', 'kafka_offset'])
    }
  })

  it('has a column with the time that a row lies at', () => {
    for (const { name, columns, eventUs, timeColumn } of DATASETS) {
      const [record] = fc.sample(RECORDS[name]!, 1)
      const row = rowOf(name, record!)
      expect(row[timeColumn], name).to.equal(eventUs(record))
      expect(columns.find((column) => column.name === timeColumn)!.type).to.equal('timestamp_us')
    }
  })

  it('knows the datasets of a topic', () => {
    const names = (topic: string): string[] => datasetsOf(topic).map((dataset) => dataset.name)
    expect(names(TOKEN_EVENTS)).to.deep.equal(['token_events', 'requests'])
    expect(names(RESOURCE_SAMPLES)).to.deep.equal(['resource_samples'])
    expect(names(AGGREGATES)).to.deep.equal(['aggregates'])
    expect(names(TRIGGER_EVENTS)).to.deep.equal(['trigger_events'])
    expect(names('lens.window-slices')).to.deep.equal([])
    expect(() => datasetNamed('tokens')).to.throw(/unknown dataset tokens; one of token_events/)
  })

  it('makes a row of each record of chunks, at the time from which its gaps count', () => {
    const rows = datasetNamed('token_events')
    const record = tokenEvents({ first_chunk: 7, elapsed_us: 3_600_000_000, end: null })
    expect(rows.keeps(record)).to.equal(true)
    expect(rows.eventUs(record)).to.equal(T0_MS * 1000 + 3_600_000_000)
    expect(rowOf('token_events', record)).to.deep.include({
      started_at: T0_MS * 1000,
      begins_at: T0_MS * 1000 + 3_600_000_000,
      first_chunk: 7,
      gaps_us: [100_000, 50_000, 70_003],
      tokens: [],
      is_last: false,
    })
    expect(rowOf('token_events', tokenEvents()).is_last).to.equal(true)
  })

  it('makes a row of a reading, whatever its value', () => {
    const more = { endpoint: 'ep-1', model: '', region: 'eu', attributes: { gpu: '0' } }
    const sample = { at: T0_MS * 1000, name: 'kv_cache_usage', value: Number.NaN, ...more }
    expect(datasetNamed('resource_samples').eventUs(sample)).to.equal(T0_MS * 1000)
    expect(rowOf('resource_samples', sample)).to.deep.equal({
      ...sample,
      attributes: '{"gpu":"0"}',
      kafka_partition: 3,
      kafka_offset: 41,
    })
  })

  describe('aggregates', () => {
    it('is a row for a final aggregate only, at the start of its window', () => {
      const aggregates = datasetNamed('aggregates')
      expect(aggregates.keeps(aggregate())).to.equal(true)
      expect(aggregates.keeps(aggregate({ final: false }))).to.equal(false)
      expect(aggregates.eventUs(aggregate())).to.equal(T0_MS * 1000)
    })

    it('has a column for each dimension: null when not grouped by, empty when unknown', () => {
      const row = rowOf('aggregates', aggregate({ series: { region: '', model: 'm', team: 'x' } }))
      expect(row).to.deep.include({ model: 'm', region: '', endpoint: null, tenant: null })
      expect(row.series).to.equal('{"model":"m","region":"","team":"x"}')
      expect(row.grouping).to.equal('model,region,team')
      expect(rowOf('aggregates', aggregate({ series: {} })).grouping).to.equal('')
    })

    it('has the statistics and the histogram of each measure', () => {
      const ttft = distributionOf([0, 100_000, 120_000])
      const row = rowOf('aggregates', aggregate({ metrics: { ttft_us: ttft } }))
      const { histogram, ...statistics } = ttft
      for (const [name, value] of Object.entries(statistics)) {
        expect(row[`ttft_us_${name}`], name).to.equal(value)
      }
      expect(row.ttft_us_histogram_scale).to.equal(6)
      expect(row.ttft_us_histogram_zero_count).to.equal(1)
      expect(row.ttft_us_histogram_offset).to.equal(histogram.offset)
      expect(row.ttft_us_histogram_counts).to.deep.equal(histogram.counts)
    })

    it('is null for a measure that is absent, and for all but the count of an empty one', () => {
      const empty = { ...distributionOf([1]), count: 0 }
      const row = rowOf('aggregates', aggregate({ metrics: { itl_us: empty } }))
      expect(row.itl_us_count).to.equal(0)
      expect(row.e2e_us_count).to.equal(null)
      const names = Object.keys(row).filter((name) => /^(itl|e2e)_us_(?!count)/.test(name))
      expect(names).to.have.length(28)
      for (const name of names) expect(row[name], name).to.equal(null)
    })
  })

  it('makes a row of a trigger event, at the end of its window', () => {
    const triggers = datasetNamed('trigger_events')
    expect(triggers.eventUs(triggerEvent())).to.equal((T0_MS + 60_000) * 1000)
    expect(rowOf('trigger_events', triggerEvent())).to.deep.equal({
      trigger_id: 'slow-1',
      rule: 'slow',
      state: 'firing',
      severity: 'warning',
      model: 'llama',
      endpoint: null,
      region: null,
      tenant: null,
      series: '{"model":"llama"}',
      grouping: 'model',
      size_s: 60,
      window_end: (T0_MS + 60_000) * 1000,
      since: T0_MS * 1000,
      condition: 'p95 of e2e_us above 2 s',
      observed: '{"e2e_us.p95":2100000.5}',
      thresholds: '{"e2e_us.p95":2000000}',
      kafka_partition: 3,
      kafka_offset: 41,
    })
  })
})
