import { expect } from 'chai'
import { parsePage, samplesOf } from '../../../services/collector/scrape.ts'

const COMMON = { at: 5, endpoint: 'pool-a', region: 'eu' }

/** Name, model, value and attributes of the samples of a page. */
function read(page: string) {
  return samplesOf(parsePage(page), COMMON).map(({ name, model, value, attributes }) => [
    name,
    model,
    value,
    attributes,
  ])
}

describe('collector/scrape', () => {
  it('reads the gauges of vLLM, by model', () => {
    const page = `# HELP vllm:num_requests_running Running.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama"} 3.0
vllm:num_requests_running{engine="1",model_name="llama"} 4.0
vllm:num_requests_waiting{model_name="qwen"} 12
vllm:kv_cache_usage_perc{model_name="llama"} 0.25 1700000000000
vllm:gpu_cache_usage_perc{model_name="llama"} 0.26
vllm:gpu_cache_usage_perc{model_name="old"} 0.5
vllm:num_requests_running_total{model_name="llama"} 9
vllm:request_success_total{model_name="llama"} 9
`
    expect(read(page)).to.deep.equal([
      ['requests_running', 'llama', 3, { engine: '0' }],
      ['requests_running', 'llama', 4, { engine: '1' }],
      ['requests_waiting', 'qwen', 12, {}],
      ['kv_cache_usage', 'llama', 0.25, {}],
      ['kv_cache_usage', 'old', 0.5, {}],
    ])
  })

  it('reads llama.cpp, and DCGM in our units', () => {
    const page = `llamacpp:requests_processing 2
llamacpp:requests_deferred 1
llamacpp:kv_cache_usage_ratio 0.5
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",modelName="NVIDIA A100",Hostname="n1"} 87
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-1",Hostname="n1"} 1024
`
    const gpu = { gpu: '0', host: 'n1' }
    expect(read(page)).to.deep.equal([
      ['requests_running', '', 2, {}],
      ['requests_waiting', '', 1, {}],
      ['kv_cache_usage', '', 0.5, {}],
      ['gpu_utilization', '', 0.87, gpu],
      ['gpu_memory_used_bytes', '', 1024 * 1024 * 1024, gpu],
    ])
  })

  it('makes whole samples', () => {
    expect(samplesOf(parsePage('llamacpp:requests_deferred 1'), COMMON)).to.deep.equal([
      {
        at: 5,
        endpoint: 'pool-a',
        model: '',
        region: 'eu',
        name: 'requests_waiting',
        value: 1,
        attributes: {},
      },
    ])
  })

  it('reads labels with anything in them', () => {
    const line = String.raw`vllm:num_requests_running{ model_name = "a\"}, b=\"\\\n" , x="1",} 1`
    expect(read(line)).to.deep.equal([['requests_running', 'a"}, b="\\\n', 1, {}]])
  })

  it('reads pages with CRLF, and numbers in any form', () => {
    const page = 'llamacpp:requests_deferred 1e1\r\nllamacpp:requests_processing +2.5\r\n'
    expect(read(page).map(([, , value]) => value)).to.deep.equal([2.5, 10])
  })

  it('passes over what is no sample, and values that say nothing', () => {
    const page = `vllm:num_requests_running{model_name="a"} NaN
vllm:num_requests_running{model_name="b"} +Inf
vllm:num_requests_running{model_name="c"}
vllm:num_requests_running{model_name="d" 1
vllm:num_requests_running{model_name=e} 1
vllm:num_requests_running
<html>
# vllm:num_requests_running 5
`
    expect(read(page)).to.deep.equal([])
  })
})
