import { expect } from 'chai'
import { renderMetrics } from '../../../services/engine/metrics.ts'
import { chat, post, quickModel, withEngine } from './fixture.ts'

/** Reads the text format strictly enough for what the engine writes. */
function parseMetrics(page: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of page.trimEnd().split('\n')) {
    if (/^# (HELP|TYPE) [a-zA-Z_:]+ .+$/.test(line)) continue
    const match = /^([a-zA-Z_:]+\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\}) (\S+)$/.exec(line)
    if (match === null) throw new Error(`not a sample: ${line}`)
    samples.set(match[1]!, Number(match[2]))
  }
  return samples
}

describe('engine metrics', () => {
  it('renders every gauge of every model', () => {
    const load = { slots: 4, running: 3, waiting: 2, kvTokens: 50, kvTokensMax: 200 }
    const page = renderMetrics([
      { model: 'a', ...load },
      { model: 'b', ...load, running: 0, waiting: 0, kvTokens: 900 },
    ])
    expect(Object.fromEntries(parseMetrics(page))).to.deep.equal({
      'vllm:num_requests_running{model_name="a"}': 3,
      'vllm:num_requests_running{model_name="b"}': 0,
      'vllm:num_requests_waiting{model_name="a"}': 2,
      'vllm:num_requests_waiting{model_name="b"}': 0,
      'vllm:kv_cache_usage_perc{model_name="a"}': 0.25,
      'vllm:kv_cache_usage_perc{model_name="b"}': 1,
      'DCGM_FI_DEV_GPU_UTIL{gpu="0",model_name="a"}': 75,
      'DCGM_FI_DEV_GPU_UTIL{gpu="1",model_name="b"}': 0,
    })
  })

  it('escapes the name of a model', () => {
    const load = { slots: 1, running: 1, waiting: 0, kvTokens: 0, kvTokensMax: 1 }
    const page = renderMetrics([{ model: 'a"b\\c\nd', ...load }])
    expect(
      parseMetrics(page).get('vllm:num_requests_running{model_name="a\\"b\\\\c\\nd"}'),
    ).to.equal(1)
  })

  it('shows the load while requests run and wait', async () => {
    const models = [quickModel({ slots: 2, ttftMs: { median: 300, sigma: 0 } })]
    await withEngine(models, async (engine) => {
      // The headers come with the slot, so two have theirs when two responses have arrived.
      const pending = [1, 2, 3].map(() => post(engine, chat()))
      await Promise.any(pending)
      const response = await fetch(`${engine.url}/metrics`)
      expect(response.headers.get('content-type')).to.include('version=0.0.4')
      const samples = parseMetrics(await response.text())
      const running = samples.get('vllm:num_requests_running{model_name="quick"}')!
      const gpu = samples.get('DCGM_FI_DEV_GPU_UTIL{gpu="0",model_name="quick"}')
      expect(running).to.be.within(1, 2)
      expect(gpu).to.equal(running * 50)
      expect(samples.get('vllm:kv_cache_usage_perc{model_name="quick"}')).to.be.above(0)
      await Promise.all((await Promise.all(pending)).map((one) => one.text()))
    })
  })
})
