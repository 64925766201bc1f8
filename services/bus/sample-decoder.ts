import type { ResourceSample } from '../../schemas/records.ts'
import { GAUGE_MAX } from '../core/windows/gauge.ts'
import { bad, type Codec, type Decoder } from './codec.ts'

/** Longest name of a gauge: names become columns and labels elsewhere. */
const NAME_LENGTH_MAX = 128

/** ResourceSample records within the limits in which they can be counted. */
export function createSampleDecoder(codec: Codec, topic: string, futureMs: number): Decoder {
  const decode = codec.decoder(topic)
  return (bytes, appendMs) => {
    const result = decode(bytes, appendMs)
    if (result.bad) return result
    const { at, name, value } = result.value as ResourceSample
    const fits = at >= 0 && name !== '' && name.length <= NAME_LENGTH_MAX
    if (!fits || !(Math.abs(value) <= GAUGE_MAX)) return bad('invalid_value')
    return at / 1000 > appendMs + futureMs ? bad('future_time') : result
  }
}
