import { RESOURCE_SAMPLES, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import type { StageHealth } from '../bus/health.ts'
import type { StageSpec } from '../bus/run.ts'
import { createSampleDecoder } from '../bus/sample-decoder.ts'
import { createTokenRunDecoder } from '../bus/token-run-decoder.ts'
import type { EncodedWindowSlice } from '../core/windows/slice.ts'
import type { WindowingConfig } from './config.ts'
import { createFoldShared } from './fold.ts'
import { createWindowing } from './processor.ts'

/** Windowing as a stage: raw events in, ranges of slices out. */
export function windowingStage(
  config: Omit<WindowingConfig, 'kafkaBrokers' | 'schemaRegistryUrl' | 'healthPort'>,
  codec: Codec,
  health: StageHealth,
): StageSpec {
  const policy = {
    groupings: config.groupings,
    seriesMax: config.seriesMax,
    recordsMax: config.recordsMax,
    disorderMs: config.disorder,
    futureMs: config.future,
    idleAfterMs: config.idleAfter,
    cutMarginMs: config.cutMargin,
  }
  const counts = {
    folded: (times: number) => health.count('series_folded', times),
    watermarkDelay: (ms: number, partition: number) =>
      health.level('watermark_delay_ms', ms, partition),
  }
  const parts = {
    counts,
    shared: createFoldShared(config.groupings),
    encode: (record: EncodedWindowSlice) => codec.encode(WINDOW_SLICES, record),
  }
  return {
    name: 'windowing',
    group: 'lens-windowing',
    topics: [TOKEN_EVENTS, RESOURCE_SAMPLES],
    decoders: {
      [TOKEN_EVENTS]: createTokenRunDecoder(codec, TOKEN_EVENTS, config.future),
      [RESOURCE_SAMPLES]: createSampleDecoder(codec, RESOURCE_SAMPLES, config.future),
    },
    deadLetters: true,
    create: (assignment) => createWindowing(assignment, policy, parts),
  }
}
