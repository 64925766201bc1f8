import { valuesOf } from './batch.ts'
import type { Codec } from './codec.ts'
import type { Bus } from './port.ts'
import { type RetrySurroundings, retrying } from './retry.ts'

/** The decoded records that a partition of a compacted topic holds now, oldest first. */
export async function readChangelog(
  topic: string,
  partition: number,
  { bus, codec }: { readonly bus: Bus; readonly codec: Codec },
  how: RetrySurroundings,
): Promise<readonly unknown[]> {
  const records = await retrying(() => bus.readAll(topic, partition), how)
  await retrying(() => codec.prepare(topic, valuesOf(records)), how)
  const read = codec.decoder(topic)
  return records.flatMap(({ value, appendMs }) => {
    const result = read(value, appendMs)
    return result.bad ? [] : [result.value]
  })
}
