/** Series of a fleet and what was measured of them, without Kafka: seeded. */
import type { Aggregate } from '../../schemas/records.ts'
import {
  CHUNK_GAP,
  E2E,
  ITL,
  type Measure,
  TPOT,
  TTFT,
} from '../../services/core/measure/measures.ts'
import type { Random } from '../../services/core/random.ts'
import { aggregateResult } from '../../services/core/windows/result.ts'
import {
  addMeasure,
  createAggregate,
  type SeriesAggregate,
} from '../../services/core/windows/slice.ts'
import { NOON_MS } from '../records.ts'
import { gapUs } from './requests.ts'

/** A value of a measure. */
export interface Measured {
  readonly measure: Measure
  readonly value: number
}

const ENDPOINTS = 40

/** Labels of the finest grouping: a series for each pair of endpoint and tenant. */
export function seriesLabels(place: number): Readonly<Record<string, string>> {
  const endpoint = place % ENDPOINTS
  return {
    model: `llama-3.3-70b-instruct-${endpoint % 8}`,
    endpoint: `https://inference-${endpoint}.example.com/v1`,
    region: ['eu-central-1', 'us-east-1', 'ap-south-1'][endpoint % 3]!,
    tenant: `tenant-${Math.floor(place / ENDPOINTS)}`,
  }
}

/** What is measured of so many requests of so many chunks. */
export function measuredOf(requests: number, chunks: number, random: Random): Measured[] {
  const all: Measured[] = []
  for (let request = 0; request < requests; request++) {
    const gaps = Array.from({ length: chunks }, (_, chunk) => gapUs(chunk, random))
    const e2eUs = gaps.reduce((sum, gap) => sum + gap, 0)
    all.push({ measure: TTFT, value: gaps[0]! })
    for (const value of gaps.slice(1)) {
      all.push({ measure: CHUNK_GAP, value }, { measure: ITL, value })
    }
    all.push({ measure: E2E, value: e2eUs })
    all.push({ measure: TPOT, value: Math.round((e2eUs - gaps[0]!) / (chunks - 1)) })
  }
  return all
}

/** So many requests of so many chunks, counted. */
export function countedOf(
  requests: number,
  chunks: number,
  measured: readonly Measured[],
): SeriesAggregate {
  const tokens = { inputTokens: requests * 900, outputTokens: requests * chunks }
  const target = { ...createAggregate(), requests, chunks: requests * chunks, ...tokens }
  for (const { measure, value } of measured) addMeasure(target, measure, value, 1)
  return target
}

/** The final window of a series that begins at noon. */
export function windowOf(place: number, sizeS: number, counted: SeriesAggregate): Aggregate {
  const window = { startMs: NOON_MS, sizeMs: sizeS * 1000, final: true, revision: 0 }
  return aggregateResult({ series: seriesLabels(place), ...window }, counted)
}
