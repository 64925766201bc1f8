import type { ResourceSample } from '../../schemas/records.ts'

/** One line of a Prometheus text page. */
export interface PageSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** How a gauge of an engine becomes one of ours. */
interface Mapping {
  readonly theirs: string
  readonly ours: string
  readonly factor: number
}

const MEBIBYTE = 1024 * 1024

/** Where two rows of one engine give the same gauge of ours, the upper one wins. */
const MAPPINGS: readonly Mapping[] = [
  { theirs: 'vllm:num_requests_running', ours: 'requests_running', factor: 1 },
  { theirs: 'vllm:num_requests_waiting', ours: 'requests_waiting', factor: 1 },
  { theirs: 'vllm:kv_cache_usage_perc', ours: 'kv_cache_usage', factor: 1 },
  // The older name; some versions of vLLM give both.
  { theirs: 'vllm:gpu_cache_usage_perc', ours: 'kv_cache_usage', factor: 1 },
  { theirs: 'llamacpp:requests_processing', ours: 'requests_running', factor: 1 },
  { theirs: 'llamacpp:requests_deferred', ours: 'requests_waiting', factor: 1 },
  { theirs: 'llamacpp:kv_cache_usage_ratio', ours: 'kv_cache_usage', factor: 1 },
  { theirs: 'sglang:num_running_reqs', ours: 'requests_running', factor: 1 },
  { theirs: 'sglang:num_queue_reqs', ours: 'requests_waiting', factor: 1 },
  { theirs: 'sglang:token_usage', ours: 'kv_cache_usage', factor: 1 },
  { theirs: 'tgi_batch_current_size', ours: 'requests_running', factor: 1 },
  { theirs: 'tgi_queue_size', ours: 'requests_waiting', factor: 1 },
  { theirs: 'nv_inference_pending_request_count', ours: 'requests_waiting', factor: 1 },
  { theirs: 'nv_gpu_utilization', ours: 'gpu_utilization', factor: 1 },
  { theirs: 'nv_gpu_memory_used_bytes', ours: 'gpu_memory_used_bytes', factor: 1 },
  { theirs: 'nv_gpu_power_usage', ours: 'gpu_power_watts', factor: 1 },
  { theirs: 'DCGM_FI_DEV_GPU_UTIL', ours: 'gpu_utilization', factor: 0.01 },
  { theirs: 'DCGM_FI_DEV_FB_USED', ours: 'gpu_memory_used_bytes', factor: MEBIBYTE },
  { theirs: 'DCGM_FI_DEV_POWER_USAGE', ours: 'gpu_power_watts', factor: 1 },
  { theirs: 'DCGM_FI_DEV_GPU_TEMP', ours: 'gpu_temperature_celsius', factor: 1 },
  { theirs: 'node_load1', ours: 'host_load_1m', factor: 1 },
  { theirs: 'node_memory_MemAvailable_bytes', ours: 'host_memory_available_bytes', factor: 1 },
]

const NAMES: ReadonlySet<string> = new Set(MAPPINGS.map((row) => row.theirs))

/** Labels that tell samples of one gauge apart, and what we call them. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  gpu: 'gpu',
  gpu_uuid: 'gpu',
  engine: 'engine',
  dp_rank: 'dp_rank',
  tp_rank: 'tp_rank',
  Hostname: 'host',
}

/** Reads the samples of the named metrics from a page; a line that is none is passed over. */
export function parsePage(text: string, names: ReadonlySet<string> = NAMES): PageSample[] {
  const samples: PageSample[] = []
  for (const line of text.split('\n')) {
    // name{label="value",...} value [timestamp]
    const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0]
    if (name === undefined || !names.has(name)) continue
    const { labels, rest } = readLabels(line.slice(name.length).trimStart())
    const [number = ''] = rest.trim().split(/\s+/, 1)
    const value = number === '' ? Number.NaN : Number(number)
    // NaN is what an exporter says when it does not know.
    if (Number.isFinite(value)) samples.push({ name, labels, value })
  }
  return samples
}

/** The gauges of ours that a page holds, one sample for each model, GPU and engine. */
export function samplesOf(
  page: readonly PageSample[],
  common: Pick<ResourceSample, 'at' | 'endpoint' | 'region'>,
): ResourceSample[] {
  const found = new Map<string, ResourceSample>()
  for (const { theirs, ours, factor } of MAPPINGS) {
    for (const { name, labels, value } of page) {
      if (name !== theirs) continue
      const model = labels.model_name ?? labels.model ?? ''
      const attributes = attributesOf(labels)
      const key = JSON.stringify([ours, model, attributes])
      if (found.has(key)) continue
      found.set(key, { ...common, model, name: ours, value: value * factor, attributes })
    }
  }
  return [...found.values()]
}

function attributesOf(labels: PageSample['labels']): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const [theirs, ours] of Object.entries(ATTRIBUTES)) {
    const value = labels[theirs]
    if (value) attributes[ours] = value
  }
  return attributes
}

const LABEL = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?/y

function readLabels(text: string): { labels: Record<string, string>; rest: string } {
  const labels: Record<string, string> = {}
  if (!text.startsWith('{')) return { labels, rest: text }
  LABEL.lastIndex = 1
  let at = 1
  for (let match = LABEL.exec(text); match !== null; match = LABEL.exec(text)) {
    labels[match[1]!] = match[2]!.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    at = LABEL.lastIndex
  }
  const rest = text.slice(at).trimStart()
  return { labels, rest: rest.startsWith('}') ? rest.slice(1) : '' }
}
