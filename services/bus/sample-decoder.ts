import type { ResourceSample } from '../../schemas/records.ts'
import { GAUGE_MAX } from '../core/windows/gauge.ts'
import { bad, type Codec, type Decoder } from './codec.ts'

/** Longest name of a gauge: names become columns and labels elsewhere. */
const NAME_LENGTH_MAX = 128

/** All labels together, as those of a request: each becomes part of a series' name. */
const LABELS_LENGTH_MAX = 16 * 1024

/** ResourceSample records within the limits in which they can be counted. */
export function createSampleDecoder(codec: Codec, topic: string, futureMs: number): Decoder {
  const decode = codec.decoder(topic)
  return (bytes, appendMs) => {
    const result = decode(bytes, appendMs)
    if (result.bad) return result
    const { at, name, value, endpoint, model, region, attributes } = result.value as ResourceSample
    const labels = [endpoint, model, region, ...Object.entries(attributes).flat()]
    const fits = at >= 0 && name !== '' && name.length <= NAME_LENGTH_MAX
    const short = labels.reduce((sum, text) => sum + text.length, 0) <= LABELS_LENGTH_MAX
    if (!fits || !short || !(Math.abs(value) <= GAUGE_MAX)) return bad('invalid_value')
    return at / 1000 > appendMs + futureMs ? bad('future_time') : result
  }
}
