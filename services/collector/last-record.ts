import type { TokenEvents } from '../../schemas/records.ts'
import type { Facts } from './dialect/reader.ts'
import type { Ending, Meter } from './meter.ts'
import type { Verdict } from './verdict.ts'

/** What is known of a request's end besides its answer. */
interface Closing extends Pick<Ending, 'durationUs' | 'phases' | 'attempts'> {
  readonly verdict: Verdict
  readonly isStream: boolean
  /** The flags that its times have already. */
  readonly quality: ReadonlySet<string>
  /** Label of a request that neither it nor its answer has named. */
  readonly model?: string
}

/** The last record of a request, with what its answer said. */
export function lastRecord(meter: Meter, facts: Facts, closing: Closing): TokenEvents {
  const { usage, finishReason, disagrees, severalChoices } = facts
  const { verdict, isStream, quality: flags, model = '', ...more } = closing
  const quality = new Set(flags)
  if (verdict.status === 'truncated') quality.add('truncated')
  if (disagrees) {
    quality.add('usage_disagrees')
    meter.distrust()
  }
  if (severalChoices) quality.add('several_choices')
  if (verdict.status === 'ok' && isStream && usage.outputTokens === null) quality.add('no_usage')
  meter.nameModel(facts.model || model)
  return meter.end({ ...verdict, ...more, usage, finishReason, quality: [...quality] })
}
