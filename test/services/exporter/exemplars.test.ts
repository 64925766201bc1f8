import { expect } from 'chai'
import { createExemplars } from '../../../services/exporter/exemplars.ts'
import { otlpPoints, prometheusFamilies } from '../../../services/formats/otlp.ts'
import { prometheusText } from '../../../services/formats/prometheus.ts'
import { prometheusProtobuf } from '../../../services/formats/protobuf-prometheus.ts'
import { aggregate, distributionOf, requestEnd, T0_MS, tokenEvents } from '../formats/records.ts'

const GROUPING = ['tenant', 'model', 'region', 'endpoint']
const METRICS = { ttft_us: distributionOf([100_000, 900_000]), e2e_us: distributionOf([220_003]) }
const TTFT = 'gen_ai_client_operation_time_to_first_chunk_seconds'

/** A request of the series of aggregate(), whose first chunk came after so many microseconds. */
function ended(request_id: string, ttft_us: number) {
  const { labels } = { labels: aggregate().series }
  return tokenEvents({ ...labels, request_id, end: { ...requestEnd(), ttft_us } })
}

function linesOf(
  exemplars: ReturnType<typeof createExemplars>,
  form: 'openmetrics' | 'prometheus',
) {
  const families = prometheusFamilies(otlpPoints(aggregate({ metrics: METRICS })), exemplars.of)
  return prometheusText(families, form).split('\n')
}

describe('exporter/exemplars', () => {
  it('names the last request of each bucket, with its value and when it ended', () => {
    const exemplars = createExemplars(GROUPING, 100)
    for (const [id, us] of [
      ['old', 90_000],
      ['new "1"', 95_000],
      ['slow', 950_000],
    ] as const) {
      exemplars.see(ended(id, us))
    }
    const lines = linesOf(exemplars, 'openmetrics').filter((line) => line.startsWith(`${TTFT}_b`))
    const named = lines.filter((line) => line.includes(' # '))
    const timeS = (T0_MS * 1000 + requestEnd().duration_us) / 1e6
    expect(named.map((line) => line.replace(/^.*le=/, 'le='))).to.deep.equal([
      `le="0.16"} 1 # {request_id="new \\"1\\""} 0.095 ${timeS}`,
      `le="1.28"} 2 # {request_id="slow"} 0.95 ${timeS}`,
    ])
  })

  it('names none where the totals count none yet, nor in a text that has no place for it', () => {
    const exemplars = createExemplars(GROUPING, 100)
    exemplars.see(ended('early', 5_000))
    const early = linesOf(exemplars, 'openmetrics').filter((line) => line.includes('early'))
    expect(early.filter((line) => line.startsWith(TTFT))).to.have.length(0)
    exemplars.see(ended('right', 95_000))
    const isNamed = (line: string) => line.includes('right') && line.startsWith(TTFT)
    expect(linesOf(exemplars, 'openmetrics').filter(isNamed)).to.have.length(1)
    expect(linesOf(exemplars, 'prometheus').filter(isNamed)).to.have.length(0)
  })

  it('has them in a native histogram too', () => {
    const exemplars = createExemplars(GROUPING, 100)
    exemplars.see(ended('native-1', 95_000))
    const families = prometheusFamilies(otlpPoints(aggregate({ metrics: METRICS })), exemplars.of)
    expect(Buffer.from(prometheusProtobuf(families)).toString('latin1')).to.contain('native-1')
    exemplars.see(ended('early-1', 5_000))
    const later = prometheusFamilies(otlpPoints(aggregate({ metrics: METRICS })), exemplars.of)
    const ttft = later.find(({ name }) => name === TTFT)!
    expect(ttft.points[0]!.exemplars.map(({ requestId }) => requestId)).to.deep.equal(['native-1'])
    // Of a total that began after it, it is none.
    const start = T0_MS + 3_600_000
    const anew = otlpPoints(aggregate({ metrics: METRICS, start, end: start + 60_000 }))
    expect(anew.flatMap(exemplars.of)).to.deep.equal([])
  })

  it('takes no id that is too long, no request that has not ended, and forgets the oldest', () => {
    const exemplars = createExemplars(GROUPING, 4)
    const points = otlpPoints(aggregate({ metrics: METRICS }))
    const ids = () => points.flatMap((point) => exemplars.of(point)).map((one) => one.requestId)
    exemplars.see(ended('x'.repeat(101), 95_000))
    exemplars.see({ ...ended('running', 95_000), end: null })
    expect(ids()).to.deep.equal([])
    exemplars.see(ended('first', 95_000))
    expect(new Set(ids())).to.deep.equal(new Set(['first']))
    exemplars.see({ ...ended('other', 95_000), model: 'other' })
    expect(ids()).to.deep.equal([])
  })
})
