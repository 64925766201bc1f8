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

  it('reads SGLang by rank, TGI, Triton, and the node exporter', () => {
    const page = `sglang:num_running_reqs{model_name="qwen",dp_rank="0",tp_rank="1"} 8.0
sglang:num_running_reqs{model_name="qwen",dp_rank="1",tp_rank="1"} 9.0
sglang:num_queue_reqs{model_name="qwen"} 4
sglang:token_usage{model_name="qwen"} 0.52
tgi_batch_current_size 4
tgi_queue_size 7
nv_inference_pending_request_count{model="ensemble",version="1"} 3
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.25
nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"} 974913536.000000
nv_gpu_power_usage{gpu_uuid="GPU-1"} 55.137
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-2",Hostname="n1"} 300.5
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-2",Hostname="n1"} 61
node_load1 3.5
node_load15 1
node_memory_MemAvailable_bytes 1.2e+10
`
    expect(read(page)).to.deep.equal([
      ['requests_running', 'qwen', 8, { dp_rank: '0', tp_rank: '1' }],
      ['requests_running', 'qwen', 9, { dp_rank: '1', tp_rank: '1' }],
      ['requests_waiting', 'qwen', 4, {}],
      ['kv_cache_usage', 'qwen', 0.52, {}],
      ['requests_running', '', 4, {}],
      ['requests_waiting', '', 7, {}],
      ['requests_waiting', 'ensemble', 3, {}],
      ['gpu_utilization', '', 0.25, { gpu: 'GPU-1' }],
      ['gpu_memory_used_bytes', '', 974_913_536, { gpu: 'GPU-1' }],
      ['gpu_power_watts', '', 55.137, { gpu: 'GPU-1' }],
      ['gpu_power_watts', '', 300.5, { gpu: '1', host: 'n1' }],
      ['gpu_temperature_celsius', '', 61, { gpu: '1', host: 'n1' }],
      ['host_load_1m', '', 3.5, {}],
      ['host_memory_available_bytes', '', 1.2e10, {}],
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
