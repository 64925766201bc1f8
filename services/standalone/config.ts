import { z } from 'zod'
import { duration, isPlainHttpUrl, PLAIN_HTTP_URL, toggle } from '../bus/config.ts'
import { serviceOptions } from '../bus/service.ts'
import { collectorConfig } from '../collector/config.ts'
import { DEFAULT_RULES } from '../triggers/config.ts'

const count = z.coerce.number().int().min(0)

export const standaloneOptions = z.object({
  ...serviceOptions,
  duration: duration.prefault('0s').describe('end by itself after this time; 0s = never'),
  upstream: z
    .string()
    .refine((text) => text === '' || isPlainHttpUrl(text), PLAIN_HTTP_URL)
    .default('')
    .describe('put the tap in front of this OpenAI-compatible server, not the simulated engine'),
  port: count.max(65_535).default(0).describe('port of the tap; 0 takes a free one'),
  ingestPort: collectorConfig.shape.ingestPort,
  rate: z.coerce
    .number()
    .min(0)
    .default(20)
    .describe('requests per second of the load; with --upstream only when --model is given'),
  model: z.string().default('').describe('model that the load asks an --upstream for'),
  seed: count.default(1).describe('seed of the engine and of the load'),
  lakeUrl: z
    .string()
    .default('data/lake')
    .meta({ env: 'LAKE_URL' })
    .describe('where Parquet files go: a folder, file:///path or s3://bucket/prefix'),
  otlpEndpoint: z
    .string()
    .default('')
    .meta({ env: 'OTEL_EXPORTER_OTLP_ENDPOINT' })
    .describe('OTLP/HTTP base URL that metrics go to; empty = off'),
  rules: z.string().default(DEFAULT_RULES).describe('YAML file of trigger rules'),
  partitions: count.min(1).default(2).describe('partitions of the topics that it creates'),
  plain: toggle.describe('plain lines, as when the output is not a terminal'),
})

export type StandaloneConfig = Readonly<z.infer<typeof standaloneOptions>>

export const usage = `LLM-Latency-Lens in one process: a simulated engine with a load on it, the tap in front,
windowing, statistics, triggers and the exporter, on a bus inside the process or on Kafka.

usage: npm start -- [options]
  npm start -- --duration 90s
  npm start -- --upstream http://127.0.0.1:8080 --port 8088       then send requests to port 8088
  KAFKA_BROKERS=... SCHEMA_REGISTRY_URL=... npm start`
