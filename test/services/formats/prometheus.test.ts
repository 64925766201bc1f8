import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { otlpPoints, prometheusFamilies } from '../../../services/formats/otlp.ts'
import { viewPoints } from '../../../services/formats/otlp-views.ts'
import { prometheusText, type TextForm } from '../../../services/formats/prometheus.ts'
import { prometheusProtobuf } from '../../../services/formats/protobuf-prometheus.ts'
import { aggregate, distributionOf } from './records.ts'

const ODD = { model: 'a "b" \\ c\nd', endpoint: 'e', region: '', tenant: 't' }

function familiesOf(...windows: readonly Aggregate[]) {
  return prometheusFamilies(windows.flatMap(otlpPoints))
}

function linesOf(form: TextForm, ...windows: readonly Aggregate[]): string[] {
  const text = prometheusText(familiesOf(...windows), form)
  expect(text.endsWith('\n')).to.equal(true)
  return text.slice(0, -1).split('\n')
}

describe('formats/prometheus', () => {
  const metrics = { ttft_us: distributionOf([0, 900, 3_000, 40_000, 200_000_000]) }

  it('has counters and histograms with the names of OTLP, units behind', () => {
    const lines = linesOf('prometheus', aggregate({ metrics }))
    expect(lines.filter((line) => line.startsWith('# TYPE'))).to.deep.equal([
      '# TYPE gen_ai_client_operation_time_to_first_chunk_seconds histogram',
      '# TYPE latency_lens_requests_total counter',
      '# TYPE latency_lens_tokens_total counter',
      '# TYPE latency_lens_chunks_total counter',
    ])
    const labels = [
      'gen_ai_operation_name="chat",gen_ai_request_model="llama"',
      'latency_lens_endpoint="ep-1",latency_lens_region="eu",latency_lens_tenant="acme"',
    ].join()
    expect(lines).to.include(`latency_lens_requests_total{${labels},status="ok"} 2`)
    expect(lines).to.include(`latency_lens_tokens_total{${labels},gen_ai_token_type="output"} 91`)
  })

  it('counts values at most each bound, and all in the last', () => {
    const lines = linesOf('prometheus', aggregate({ metrics }))
    const counts = lines.flatMap((line) => {
      const [, le, count] = /_bucket\{.*le="(.+)"\} (\d+)$/.exec(line) ?? []
      return le === undefined ? [] : [[le, Number(count)] as const]
    })
    const at = new Map(counts)
    expect([at.get('0.001'), at.get('0.0025'), at.get('0.005')]).to.deep.equal([2, 2, 3])
    expect([at.get('0.02'), at.get('0.04'), at.get('0.08')]).to.deep.equal([3, 4, 4])
    expect([at.get('81.92'), at.get('+Inf')]).to.deep.equal([4, 5])
    expect(lines.find((line) => line.includes('_chunk_seconds_sum'))).to.match(/ 200\.0439$/)
    expect(lines.find((line) => line.includes('_chunk_seconds_count'))).to.match(/ 5$/)
  })

  it('has gauges as they are, with what their unit is called', () => {
    const window = aggregate({
      ...{ size_s: 300, series: { endpoint: 'e' }, metrics, requests: 30, errors: 3, goodput: 0.5 },
      gauges: { gpu: { count: 2, min: 0.1, max: 0.9, mean: 0.5, last: 0.9 } },
    })
    const families = prometheusFamilies(viewPoints(window))
    const lines = prometheusText(families, 'openmetrics').split('\n')
    const own = 'gen_ai_operation_name="chat",latency_lens_endpoint="e",window="5m"'
    const labels = `${own},grouping="endpoint"`
    expect(lines.filter((line) => !line.startsWith('#'))).to.deep.equal([
      `latency_lens_view_ttft_seconds{${labels},quantile="0.5"} 0.003`,
      `latency_lens_view_ttft_seconds{${labels},quantile="0.95"} 200`,
      `latency_lens_view_ttft_seconds{${labels},quantile="0.99"} 200`,
      `latency_lens_view_observations{${labels},measure="ttft_us"} 5`,
      `latency_lens_view_requests_per_second{${labels}} 0.1`,
      `latency_lens_view_output_tokens_per_second{${labels}} ${91 / 300}`,
      `latency_lens_view_errors_ratio{${labels}} 0.1`,
      `latency_lens_view_goodput_ratio{${labels}} 0.5`,
      `latency_lens_view_resource{${labels},name="gpu",stat="mean"} 0.5`,
      `latency_lens_view_resource{${labels},name="gpu",stat="max"} 0.9`,
      '',
    ])
    expect(lines).to.include('# TYPE latency_lens_view_resource gauge')
    expect(lines).to.include('# UNIT latency_lens_view_ttft_seconds seconds')
  })

  it('escapes labels, and has one family for the points of many series', () => {
    const lines = linesOf('prometheus', aggregate({ series: ODD, metrics }), aggregate({ metrics }))
    const requests = lines.filter((line) => line.startsWith('latency_lens_requests_total{'))
    expect(requests).to.have.length(6)
    expect(requests[0]).to.contain('gen_ai_request_model="a \\"b\\" \\\\ c\\nd"')
  })

  it('is OpenMetrics when asked: counters without their end, units, and an end', () => {
    const lines = linesOf('openmetrics', aggregate({ metrics }))
    expect(lines).to.include('# TYPE latency_lens_requests counter')
    expect(lines).to.include('# UNIT gen_ai_client_operation_time_to_first_chunk_seconds seconds')
    expect(lines.at(-1)).to.equal('# EOF')
  })

  it('is empty without points', () => {
    expect(prometheusText([], 'openmetrics')).to.equal('# EOF\n')
    expect(prometheusProtobuf([])).to.have.length(0)
  })
})
