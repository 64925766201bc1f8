import { expect } from 'chai'
import { readOtlpSettings } from '../../../services/exporter/otlp-settings.ts'

const TEMPORALITY = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE'
const BASE = 'http://collector:4318'

describe('exporter/otlp-settings', () => {
  it('is off without an endpoint', () => {
    expect(readOtlpSettings('', {})).to.equal(null)
  })

  it('adds the path of the signal to the base, but not to the endpoint of the metrics', () => {
    const url = (endpoint: string, metrics?: string): string | undefined =>
      readOtlpSettings(endpoint, { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: metrics })?.url
    expect(url(BASE)).to.equal(`${BASE}/v1/metrics`)
    expect(url(`${BASE}/otel/`)).to.equal(`${BASE}/otel/v1/metrics`)
    expect(url('', `${BASE}/api/v1/otlp`)).to.equal(`${BASE}/api/v1/otlp`)
    expect(url(BASE, 'https://other/x')).to.equal('https://other/x')
  })

  it('reads headers, compression and timeout, the metrics form first', () => {
    const env = {
      OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Basic%20abc%3D, x-scope=a=b ,',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TIMEOUT: '10000',
      OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '2500',
    }
    expect(readOtlpSettings(BASE, env)).to.deep.equal({
      url: `${BASE}/v1/metrics`,
      headers: { authorization: 'Basic abc=', 'x-scope': 'a=b' },
      isGzip: true,
      timeoutMs: 2500,
      temporality: 'cumulative',
    })
    expect(readOtlpSettings(BASE, {})).to.deep.include({ isGzip: false, timeoutMs: 10_000 })
  })

  it('says every fault at once, and never the value of a header', () => {
    const env = {
      OTEL_EXPORTER_OTLP_HEADERS: 'secret-token,bad name=secret,x=%zz',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd',
      OTEL_EXPORTER_OTLP_TIMEOUT: '10s',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'lowmemory',
    }
    let said = ''
    try {
      readOtlpSettings('collector:4318', env)
    } catch (error) {
      expect(error).to.have.property('code', 'configuration_invalid')
      said = (error as Error).message
    }
    expect(said.split('\n')).to.deep.equal([
      'the OTLP endpoint "collector:4318/v1/metrics" is not an http:// or https:// URL',
      'OTEL_EXPORTER_OTLP_PROTOCOL is grpc; only http/protobuf is spoken',
      'OTEL_EXPORTER_OTLP_COMPRESSION is zstd; it can be gzip or none',
      `${TEMPORALITY} is lowmemory; it can be cumulative or delta`,
      'OTEL_EXPORTER_OTLP_TIMEOUT is 10s; it is milliseconds above 0',
      'OTEL_EXPORTER_OTLP_HEADERS: a part without name= is not a header; write name=value,…',
      'OTEL_EXPORTER_OTLP_HEADERS: "bad name" is not a header; write name=value,…',
      'OTEL_EXPORTER_OTLP_HEADERS: "x" is not a header; write name=value,…',
    ])
  })
})
