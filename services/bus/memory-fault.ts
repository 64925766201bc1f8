import { LensError } from '../core/errors.ts'

/** A step at which a fault may strike. */
export type Step = 'deliver' | 'append' | 'appended' | 'commit'

/** What happens at a step: go on, deliver the batch once more, or the acting member dies here. */
export type Fault = 'go' | 'repeat' | 'crash'

/** The error with which a member dies at a fault. */
export function crashed(): LensError {
  return new LensError('broker_unavailable', 'the member was crashed by a fault of the memory bus')
}
