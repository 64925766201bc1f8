import { z } from 'zod'
import { duration, toggle } from '../bus/config.ts'
import { serviceOptions } from '../bus/service.ts'

export const statisticsOptions = z.object({
  ...serviceOptions,
  hop: duration.prefault('1m').describe('how far windows advance; a multiple of 10s'),
  lateness: duration.prefault('2m').describe('how long a closed window is still corrected'),
  hold: duration
    .prefault('15m')
    .describe(
      'a window waits so long for a source partition, then closes incomplete; 0s = for ever',
    ),
  liveEvery: duration
    .prefault('1s')
    .describe(
      'how often results of open 1-minute windows come; longer ones and many series: less often',
    ),
  noFleet: toggle.describe('the whole fleet is none of the groupings of windowing'),
})

export type StatisticsConfig = z.infer<typeof statisticsOptions>
