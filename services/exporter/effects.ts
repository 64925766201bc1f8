import { assert } from '../core/errors.ts'
import { toArrow } from '../formats/arrow.ts'
import { datasetNamed } from '../formats/datasets.ts'
import { otlpMetrics, otlpProtobuf } from '../formats/otlp.ts'
import { toParquet } from '../formats/parquet.ts'
import type { LakeFile } from './lake-range.ts'
import type { OtlpExport } from './otlp-processor.ts'
import type { OtlpSender } from './otlp-sender.ts'
import type { ObjectStore } from './store.ts'

/** The bytes of a file of the lake: the same for the same rows and range, in every process. */
export function lakeFileBytes({ dataset, rows, range }: LakeFile): Uint8Array {
  const { columns, version } = datasetNamed(dataset)
  return toParquet(toArrow(columns, rows), { dataset, schemaVersion: version, ...range })
}

/**
 * What carries out the effects of the lake and OTLP processors; the runner awaits it before it
 * commits. `sender` is null when OTLP is off: then no OTLP processor may be running.
 */
export function createEffectHandler(
  store: ObjectStore,
  sender: OtlpSender | null,
): (effect: LakeFile | OtlpExport) => Promise<void> {
  return async (effect) => {
    if (effect.kind === 'lake-file') {
      await store.put(effect.path, lakeFileBytes(effect))
      return
    }
    assert(sender !== null, 'an OTLP export without an endpoint')
    const metrics = otlpMetrics(effect.points, effect.instance)
    await sender.send(otlpProtobuf(metrics), effect.points.length)
  }
}
