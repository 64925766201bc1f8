import type { StageHealth } from '../bus/health.ts'
import type { Plan, Processor } from '../core/processor.ts'

type Stats = Readonly<Record<string, number | string | null>>

/** The same processor, whose counts since the last call go to the health of the stage. */
export function reportStats<Effect>(
  processor: Processor<Effect> & { readonly stats: object },
  health: StageHealth,
): Processor<Effect> {
  const current = processor.stats as Stats
  let told: Stats = { ...current }

  function after(plan: Plan<Effect>): Plan<Effect> {
    for (const [name, value] of Object.entries(current)) {
      if (typeof value !== 'number') continue
      const counter = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      health.count(counter, value - Number(told[name]))
    }
    told = { ...current }
    return plan
  }

  return {
    startOffset: processor.startOffset,
    onBatch: (batch) => after(processor.onBatch(batch)),
    onTick: (tick) => after(processor.onTick(tick)),
    onDrain: () => after(processor.onDrain()),
  }
}
