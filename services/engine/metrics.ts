/** What one model is doing, as its metrics show it. */
export interface ModelLoad {
  readonly model: string
  readonly slots: number
  readonly running: number
  readonly waiting: number
  readonly kvTokens: number
  readonly kvTokensMax: number
}

interface Gauge {
  readonly name: string
  readonly help: string
  readonly value: (load: ModelLoad) => number
}

const modelGauges: readonly Gauge[] = [
  {
    name: 'vllm:num_requests_running',
    help: 'Requests that have a slot.',
    value: (load) => load.running,
  },
  {
    name: 'vllm:num_requests_waiting',
    help: 'Requests that wait for a slot.',
    value: (load) => load.waiting,
  },
  {
    name: 'vllm:kv_cache_usage_perc',
    help: 'Share of the KV cache that running requests fill; 1 means all of it.',
    value: (load) => Math.min(1, load.kvTokens / load.kvTokensMax),
  },
]

const gpuGauge: Gauge = {
  name: 'DCGM_FI_DEV_GPU_UTIL',
  help: 'GPU utilisation in percent: the share of slots taken, one GPU a model.',
  value: (load) => (100 * load.running) / load.slots,
}

/** The Prometheus text page of an engine. */
export function renderMetrics(loads: readonly ModelLoad[]): string {
  const lines: string[] = []
  for (const gauge of modelGauges) {
    lines.push(`# HELP ${gauge.name} ${gauge.help}`, `# TYPE ${gauge.name} gauge`)
    for (const load of loads) lines.push(sample(gauge, load, ''))
  }
  lines.push(`# HELP ${gpuGauge.name} ${gpuGauge.help}`, `# TYPE ${gpuGauge.name} gauge`)
  for (const [index, load] of loads.entries()) lines.push(sample(gpuGauge, load, `gpu="${index}",`))
  return `${lines.join('\n')}\n`
}

function sample(gauge: Gauge, load: ModelLoad, labels: string): string {
  const model = load.model.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')
  return `${gauge.name}{${labels}model_name="${model}"} ${gauge.value(load)}`
}
