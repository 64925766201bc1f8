import { expect } from 'chai'
import fc from 'fast-check'
import {
  createSeriesIndex,
  DEFAULT_GROUPINGS,
  finestGrouping,
  hasGrouping,
  OTHER,
  otherSeries,
  requestSeries,
  seriesOf,
  seriesOfSample,
} from '../../../../services/core/windows/series.ts'
import { resourceSample, tokenEvents } from '../../../records.ts'

const request = tokenEvents({ attributes: { team: 'search' } })
const anyLabels = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), {
  noNullPrototype: true,
})

describe('core/windows/series: key', () => {
  it('does not depend on the order of the labels', () => {
    const input = anyLabels.chain((labels) => {
      const entries = Object.entries(labels)
      return fc.tuple(
        fc.constant(labels),
        fc.shuffledSubarray(entries, { minLength: entries.length }),
      )
    })
    fc.assert(
      fc.property(input, ([labels, shuffled]) => {
        const series = seriesOf(Object.fromEntries(shuffled))
        expect(series.key).to.equal(seriesOf(labels).key)
        expect(JSON.parse(series.key)).to.deep.equal(labels)
        expect(series.labels).to.deep.equal(labels)
      }),
    )
  })

  it('differs between labels that differ', () => {
    fc.assert(
      fc.property(anyLabels, anyLabels, (one, other) => {
        const isSame =
          JSON.stringify(Object.entries(one).sort()) ===
          JSON.stringify(Object.entries(other).sort())
        expect(seriesOf(one).key === seriesOf(other).key).to.equal(isSame)
      }),
    )
  })

  it('is JSON with the dimensions in the order of their names', () => {
    expect(seriesOf({ tenant: 't', endpoint: 'e "1"', model: '' }).key).to.equal(
      '{"endpoint":"e \\"1\\"","model":"","tenant":"t"}',
    )
    expect(seriesOf({})).to.deep.equal({ key: '{}', labels: {} })
  })
})

describe('core/windows/series: groupings', () => {
  it('ships one for all four labels, three for one label, and the fleet', () => {
    expect(DEFAULT_GROUPINGS).to.deep.equal([
      ['model', 'endpoint', 'region', 'tenant'],
      ['model'],
      ['endpoint'],
      ['tenant'],
      [],
    ])
  })

  it('takes a request into the series of its values', () => {
    expect(DEFAULT_GROUPINGS.map((grouping) => requestSeries(grouping, request).key)).to.deep.equal(
      [
        '{"endpoint":"e-1","model":"m-1","region":"eu","tenant":"t-1"}',
        '{"model":"m-1"}',
        '{"endpoint":"e-1"}',
        '{"tenant":"t-1"}',
        '{}',
      ],
    )
  })

  it('takes attributes as dimensions, empty where the request has none', () => {
    expect(requestSeries(['team', 'colour', 'provider'], request).labels).to.deep.equal({
      colour: '',
      provider: 'vllm',
      team: 'search',
    })
  })

  it('gives every dimension of the overflow series the same value', () => {
    expect(otherSeries(['model', 'endpoint'])).to.deep.equal(
      seriesOf({ endpoint: OTHER, model: OTHER }),
    )
    expect(otherSeries([]).key).to.equal('{}')
    expect(OTHER).to.equal('__other__')
  })

  it('folds by every dimension that any grouping names, each once', () => {
    expect(finestGrouping(DEFAULT_GROUPINGS)).to.deep.equal([
      'endpoint',
      'model',
      'region',
      'tenant',
    ])
    expect(finestGrouping([['team'], ['model', 'team'], []])).to.deep.equal(['model', 'team'])
    expect(finestGrouping([[]])).to.deep.equal([])
  })

  it('knows a series of a grouping by exactly its dimensions', () => {
    for (const grouping of DEFAULT_GROUPINGS) {
      const { labels } = requestSeries(grouping, request)
      const owners = DEFAULT_GROUPINGS.filter((other) => hasGrouping(labels, other))
      expect(owners).to.deep.equal([grouping])
    }
    expect(hasGrouping({ model: 'm', region: 'r' }, ['region', 'model'])).to.equal(true)
    expect(hasGrouping({ model: 'm', region: 'r' }, ['region', 'tenant'])).to.equal(false)
    expect(hasGrouping({ model: 'm' }, ['toString'])).to.equal(false)
  })

  it('joins a sample to a grouping of whose dimensions it carries all', () => {
    const sample = resourceSample({ model: 'm', region: '', attributes: { team: 'a', model: 'x' } })
    const labelsIn = (grouping: readonly string[]) => seriesOfSample(sample, grouping)?.labels
    expect(labelsIn(['model', 'team'])).to.deep.equal({ model: 'm', team: 'a' })
    expect(labelsIn([])).to.deep.equal({})
    expect(labelsIn(['model', 'region'])).to.equal(undefined)
    expect(labelsIn(['model', 'tenant'])).to.equal(undefined)
  })

  it('finds the series of labels in each grouping, made once for each object', () => {
    const find = createSeriesIndex([['model'], ['tenant'], []])
    const found = find(request)
    expect(found.byGrouping.map(({ labels }) => labels)).to.deep.equal([
      { model: request.model },
      { tenant: request.tenant },
      {},
    ])
    expect(found.finest.labels).to.deep.equal({ model: request.model, tenant: request.tenant })
    expect(find(request)).to.equal(found)
    const [copy, other] = [{ ...request }, { ...request, provider: 'other' }].map(find)
    expect(copy).to.deep.equal(found)
    expect(other!.text).not.to.equal(found.text)
    expect(other!.finest).to.deep.equal(found.finest)
  })
})
