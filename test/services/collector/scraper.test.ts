import { expect } from 'chai'
import type { ResourceSample } from '../../../schemas/records.ts'
import { type Scraper, startScraper } from '../../../services/collector/scraper.ts'
import { createHandClock } from './hand-clock.ts'
import { until } from './proxy-fixture.ts'
import { type Answering, startUpstream, type TestUpstream } from './upstream.ts'

describe('collector/scraper', () => {
  let upstream: TestUpstream
  let scraper: Scraper

  async function start(answer: Answering) {
    upstream = await startUpstream(answer)
    const clock = createHandClock()
    const samples: ResourceSample[] = []
    const lines: string[] = []
    scraper = startScraper({
      url: `${upstream.url}/metrics`,
      everyMs: 2000,
      timeoutMs: 300,
      endpoint: 'pool-a',
      region: 'eu',
      publish: (sample) => samples.push(sample),
      log: (line) => lines.push(line),
      clock,
      timers: clock,
    })
    const ups = () => samples.filter(({ name }) => name === 'up').map(({ value }) => value)
    return { clock, samples, lines, ups }
  }

  afterEach(async () => {
    await scraper.stop()
    await upstream.close()
  })

  it('publishes the gauges and that the engine is up, at once and at every interval', async () => {
    const { clock, samples, ups } = await start((response) => {
      response.end('vllm:num_requests_running{model_name="m"} 3\n')
    })
    await until(() => ups().length === 1)
    const common = { at: clock.wallUs(), endpoint: 'pool-a', region: 'eu' }
    const target = new URL(upstream.url).host
    expect(samples).to.deep.equal([
      { ...common, model: 'm', name: 'requests_running', value: 3, attributes: {} },
      { ...common, model: '', name: 'up', value: 1, attributes: { target } },
    ])
    await clock.advance(2000)
    await until(() => ups().length === 2)
    expect(scraper.stats()).to.deep.equal({ scrapes: 2, failed: 0, refused: 0 })
  })

  it('says that an engine is down that fails, redirects, is late, or sends no end', async () => {
    const answers: Answering[] = [
      (response) => void response.writeHead(500).end(),
      (response) => void response.writeHead(302, { location: '/elsewhere' }).end(),
      () => {},
      (response) => void response.end(Buffer.alloc(5 << 20, 0x61)),
      (response) => void response.end(''),
    ]
    const { clock, ups, lines } = await start((response, seen) => answers.shift()!(response, seen))
    for (const count of [1, 2, 3, 4, 5]) {
      await until(() => ups().length === count)
      await clock.advance(2000)
    }
    expect(ups().slice(0, 5)).to.deep.equal([0, 0, 0, 0, 1])
    expect(lines).to.have.length(1)
    answers.push((response) => void response.end(''))
  })

  it('publishes a thousand samples of a page, counts the others, and that it is up', async () => {
    const gauge = (i: number) => `vllm:num_requests_running{model_name="m${i}"} 3\n`
    const page = Array.from({ length: 1_003 }, (_, i) => gauge(i)).join('')
    const { samples, ups } = await start((response) => void response.end(page))
    await until(() => ups().length === 1)
    expect(samples).to.have.length(1_001)
    expect(scraper.stats()).to.deep.equal({ scrapes: 1, failed: 0, refused: 3 })
    expect(ups()).to.deep.equal([1])
  })

  it('does not ask again while it waits', async () => {
    const { clock, ups } = await start(() => {})
    await clock.advance(2000)
    await clock.advance(2000)
    await until(() => ups().length === 1)
    expect(upstream.seen).to.have.length(1)
  })
})
