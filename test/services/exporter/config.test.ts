import { expect } from 'chai'
import { configHelp, loadConfig } from '../../../services/bus/config.ts'
import { exporterConfig } from '../../../services/exporter/config.ts'

describe('exporter/config', () => {
  it('has a lake in a folder and no OTLP by default', () => {
    expect(loadConfig(exporterConfig, { env: {}, argv: [] })).to.deep.include({
      lakeUrl: 'data/lake',
      roll: 60_000,
      rowsMax: 50_000,
      otlpEndpoint: '',
      otlpGrouping: ['model', 'endpoint', 'region', 'tenant'],
    })
  })

  it('reads flags and the names that its users know', () => {
    const env = { LAKE_URL: 's3://lake', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }
    const argv = ['--roll', '5m', '--rows-max', '10', '--otlp-grouping', 'model, tenant']
    expect(loadConfig(exporterConfig, { env, argv })).to.deep.include({
      lakeUrl: 's3://lake',
      roll: 300_000,
      rowsMax: 10,
      otlpEndpoint: 'http://c:4318',
      otlpGrouping: ['model', 'tenant'],
    })
  })

  it('takes the empty grouping for the fleet', () => {
    const argv = ['--otlp-grouping=']
    expect(loadConfig(exporterConfig, { env: {}, argv }).otlpGrouping).to.deep.equal([])
  })

  it('refuses what cannot be, all at once', () => {
    const argv = ['--roll=1ms', '--rows-max=0', '--otlp-grouping=a,a']
    const load = (): unknown => loadConfig(exporterConfig, { env: {}, argv })
    expect(load).to.throw(
      /--roll .*must be from 1s to 1h[\s\S]*--rows-max[\s\S]*names a dimension twice/,
    )
  })

  it('describes every option', () => {
    const help = configHelp('usage', exporterConfig)
    for (const name of Object.keys(exporterConfig.shape)) {
      expect(exporterConfig.shape[name as 'lakeUrl'].description, name).to.be.a('string')
    }
    expect(help).to.contain('(LAKE_URL)').and.contain('[model,endpoint,region,tenant]')
  })
})
