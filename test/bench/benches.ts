/** Every benchmark; a new one is a file and a row here. */
import type { Bench } from './figure.ts'

interface Row {
  /** One line for --help. */
  readonly about: string
  readonly load: () => Promise<Bench>
}

export const BENCHES: Readonly<Record<string, Row>> = {
  decode: {
    about: 'bytes of TokenEvents into columns, beside avsc',
    load: () => import('./decode.ts').then(({ decode }) => decode),
  },
  histogram: {
    about: 'adding and merging, and the error made, beside tdigest, DDSketch and HdrHistogram',
    load: () => import('./histogram.ts').then(({ histogram }) => histogram),
  },
  parquet: {
    about: 'rows of the lake into Parquet, beside parquetjs-lite and hyparquet-writer',
    load: () => import('./parquet.ts').then(({ parquet }) => parquet),
  },
  tap: {
    about: 'the collector as a proxy: chunks/s a core and latency, beside a Node pipe and nginx',
    load: () => import('./tap.ts').then(({ tap }) => tap),
  },
  truth: {
    about: 'what the collector measures of 200 streams, beside what the engine truly sent',
    load: () => import('./truth.ts').then(({ truth }) => truth),
  },
  otlp: {
    about: 'aggregates into OTLP requests, beside the SDK of OpenTelemetry',
    load: () => import('./otlp.ts').then(({ otlp }) => otlp),
  },
  triggers: {
    about: 'rules on every series, beside only reading the aggregates',
    load: () => import('./triggers.ts').then(({ triggers }) => triggers),
  },
  growth: {
    about: 'how time and memory grow with chunks, series, partitions and rules; windows from panes',
    load: () => import('./growth.ts').then(({ growth }) => growth),
  },
  volume: {
    about: 'bytes of the slices that windowing publishes, beside those of the raw records',
    load: () => import('./volume.ts').then(({ volume }) => volume),
  },
  memory: {
    about: 'what statistics takes when the windows of 20,000 series are full',
    load: () => import('./memory.ts').then(({ memory }) => memory),
  },
  windowing: {
    about: 'one process of windowing, beside one of Kafka Streams on the same topic',
    load: () => import('./windowing.ts').then(({ windowing }) => windowing),
  },
  shapes: {
    about: 'the same with other sizes of records and numbers of series',
    load: () => import('./windowing.ts').then(({ shapes }) => shapes),
  },
  scale: {
    about: 'two processes of windowing on the same topic, beside one',
    load: () => import('./windowing.ts').then(({ scale }) => scale),
  },
  both: {
    about: 'windowing and statistics, beside Kafka Streams that does both',
    load: () => import('./windowing.ts').then(({ both }) => both),
  },
  delay: {
    about: 'age of results at 10, 50, 80 % of BENCH_CAPACITY (2.4e6 chunks/s), catch-up, restart',
    load: () => import('./delay.ts').then(({ delay }) => delay),
  },
}
