/** A process that memory.ts starts: fills windows of statistics, says what memory that took. */
import { SLICE_MS } from '../../services/core/windows/slice.ts'
import { liveBytes } from './live-bytes.ts'
import { createAlone, createRanges, give, type Load, takeLive } from './slices.ts'

export interface Filling extends Load {
  readonly untilMs: number
}

export interface Filled {
  /** When the last window had closed, as the process stood. */
  readonly residentBytes: number
  readonly highestBytes: number
  /** What is left of it after a collection, less what there was before. */
  readonly liveBytes: number
  readonly results: number
}

const filling: Filling = JSON.parse(process.argv[2]!)
const range = createRanges(filling)
const before = await liveBytes()
const processor = createAlone()
const count = filling.untilMs / SLICE_MS
let results = 0
for (let n = 0; n < count; n++) {
  results += give(processor, n, range(n))
  // Live results once a window: they are made and sent, not kept.
  if (n % 6 === 5) results += takeLive(processor, n)
}
const { rss } = process.memoryUsage()
const filled: Filled = {
  residentBytes: rss,
  highestBytes: process.resourceUsage().maxRSS * 1024,
  liveBytes: (await liveBytes()) - before,
  results: results + give(processor, count, range(count)),
}
process.send!(filled)
process.disconnect()
