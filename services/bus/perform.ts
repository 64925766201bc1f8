import type { Plan } from '../core/processor.ts'
import { failpoint } from './failpoint.ts'
import type { BadRecord, Publisher } from './publisher.ts'
import { type RetrySurroundings, retrying } from './retry.ts'
import type { StageSpec } from './run.ts'

/**
 * Publishes what a plan says, then carries out its effects, each until it succeeds; the commit is
 * the caller's.
 */
export async function perform<Effect>(
  plan: Plan<Effect>,
  bad: readonly BadRecord[],
  { spec, publisher }: { readonly spec: StageSpec<Effect>; readonly publisher: Publisher },
  how: RetrySurroundings,
): Promise<void> {
  if (spec.deadLetters && bad.length > 0) await publisher.deadLetters(spec.name, bad, how)
  failpoint('before-publish')
  await publisher.publish(plan.outputs, how)
  failpoint('after-publish')
  for (const effect of plan.effects) {
    await retrying(() => spec.carryOut!(effect), how)
    failpoint('after-upload')
  }
}
