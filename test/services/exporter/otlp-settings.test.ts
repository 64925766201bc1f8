import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { readOtlpSettings } from '../../../services/exporter/otlp-settings.ts'

const TEMPORALITY = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE'
const NONE = 'ENOENT: no such file or directory'
const CERT = '-----BEGIN CERTIFICATE-----\n'
const KEY = '-----BEGIN EC PRIVATE KEY-----\n'
const BASE = 'http://collector:4318'

describe('exporter/otlp-settings', () => {
  it('is off without an endpoint', () => {
    expect(readOtlpSettings('metrics', '', {})).to.equal(null)
  })

  it('adds the path of the signal to the base, but not to the endpoint of the metrics', () => {
    const url = (endpoint: string, metrics?: string): string | undefined =>
      readOtlpSettings('metrics', endpoint, { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: metrics })?.url
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
    expect(readOtlpSettings('metrics', BASE, env)).to.deep.equal({
      url: `${BASE}/v1/metrics`,
      headers: { authorization: 'Basic abc=', 'x-scope': 'a=b' },
      signal: 'metrics',
      protocol: 'http/protobuf',
      tls: {},
      isGzip: true,
      timeoutMs: 2500,
      temporality: 'cumulative',
    })
    expect(readOtlpSettings('metrics', BASE, {})).to.deep.include({
      isGzip: false,
      timeoutMs: 10_000,
    })
  })

  it('has the names of spans for spans, and no path for gRPC', () => {
    const env = { OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '7', OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '8' }
    const spans = readOtlpSettings('trace', BASE, env)
    expect(spans).to.deep.include({ url: `${BASE}/v1/traces`, timeoutMs: 7, signal: 'trace' })
    const grpc = { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
    expect(readOtlpSettings('trace', BASE, grpc)).to.deep.include({ url: BASE, protocol: 'grpc' })
  })

  it('reads certificates and headers from files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lens-otlp-'))
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const env = {
      OTEL_EXPORTER_OTLP_CERTIFICATE: file('ca.pem', CERT),
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: file('cert.pem', CERT),
      OTEL_EXPORTER_OTLP_CLIENT_KEY: file('key.pem', KEY),
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1',
      OTEL_EXPORTER_OTLP_HEADERS_FILE: file('headers', 'authorization=Bearer%20x\nb=2\n'),
    }
    expect(readOtlpSettings('metrics', BASE, env)).to.deep.include({
      tls: { ca: CERT, cert: CERT, key: KEY },
      headers: { a: '1', authorization: 'Bearer x', b: '2' },
    })
    const wrong = {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_CERTIFICATE: file('no.pem', 'no certificate'),
      OTEL_EXPORTER_OTLP_CLIENT_KEY: file('key.pem', KEY),
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20s%C3%A9cret',
    }
    expect(() => readOtlpSettings('metrics', BASE, wrong))
      .to.throw(
        /one needs the other\n.*_CERTIFICATE is no file of cert.*\n.*"authorization" is not A/,
      )
      .and.not.match(/cret/)
    rmSync(folder, { recursive: true })
  })

  it('says every fault at once, and never the value of a header', () => {
    const env = {
      OTEL_EXPORTER_OTLP_HEADERS: 'secret-token,bad name=secret,x=%zz',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd',
      OTEL_EXPORTER_OTLP_TIMEOUT: '10s',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/none/ca.pem',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'lowmemory',
    }
    let said = ''
    try {
      readOtlpSettings('metrics', 'collector:4318', env)
    } catch (error) {
      expect(error).to.have.property('code', 'configuration_invalid')
      said = (error as Error).message
    }
    expect(said.split('\n')).to.deep.equal([
      'the OTLP endpoint "collector:4318/v1/metrics" is not an http:// or https:// URL',
      'OTEL_EXPORTER_OTLP_PROTOCOL is http/json; it can be grpc or http/protobuf',
      'OTEL_EXPORTER_OTLP_COMPRESSION is zstd; it can be gzip or none',
      'OTEL_EXPORTER_OTLP_TIMEOUT is 10s; it is milliseconds above 0',
      `${TEMPORALITY} is lowmemory; it can be cumulative or delta`,
      `OTEL_EXPORTER_OTLP_CERTIFICATE cannot be read: ${NONE}, open '/none/ca.pem'`,
      'OTEL_EXPORTER_OTLP_HEADERS: a part without name= is not a header; write name=value,…',
      'OTEL_EXPORTER_OTLP_HEADERS: "bad name" is not a header; write name=value,…',
      'OTEL_EXPORTER_OTLP_HEADERS: "x" is not a header; write name=value,…',
    ])
  })
})
