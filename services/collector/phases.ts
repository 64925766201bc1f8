import type { IncomingHttpHeaders } from 'node:http'
import type { RequestEnd, SecurityPhases, Speculation } from '../../schemas/records.ts'

/** What others than the engine did for a request: a guard around it, a draft model before it. */
export type Phases = Pick<RequestEnd, 'security' | 'speculative'>

/** Nobody has said anything. */
export const NO_PHASES: Phases = Object.freeze({ security: null, speculative: null })

const SECURITY: readonly (keyof SecurityPhases)[] = [
  'validation_us',
  'threat_detection_us',
  'output_filter_us',
]
const SPECULATION: readonly (keyof Speculation)[] = [
  'draft_tokens',
  'accepted_tokens',
  'draft_us',
  'round_trip_us',
  'verify_us',
]
const COUNT_MAX = 2 ** 31 - 1

/** Whether a header, in lower case, is one of those that say it. */
export function isPhaseHeader(name: string): boolean {
  return name.startsWith('lens-guard-') || name.startsWith('lens-speculative-')
}

/**
 * `known` and what headers or trailers say: lens-guard-validation-us and so on, as whole numbers.
 * Of what is said twice the later counts; a part that nobody speaks of is 0.
 */
export function phasesWith(known: Phases, headers: IncomingHttpHeaders): Phases {
  const security = fieldsWith(known.security, SECURITY, 'lens-guard-', headers)
  const speculative = fieldsWith(known.speculative, SPECULATION, 'lens-speculative-', headers)
  return { security, speculative }
}

function fieldsWith<Name extends string>(
  known: Readonly<Record<Name, number>> | null,
  names: readonly Name[],
  prefix: string,
  headers: IncomingHttpHeaders,
): Readonly<Record<Name, number>> | null {
  const said = names.flatMap((name) => {
    const text = headers[`${prefix}${name.replaceAll('_', '-')}`]
    const count = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : Number.NaN
    return count <= COUNT_MAX ? [[name, count] as const] : []
  })
  if (said.length === 0) return known
  const none = Object.fromEntries(names.map((name) => [name, 0]))
  return { ...none, ...known, ...Object.fromEntries(said) } as Record<Name, number>
}

/** The same in whole numbers, as a program may not have them. */
export function wholePhases({ security, speculative }: Phases): Phases {
  return { security: security && whole(security), speculative: speculative && whole(speculative) }
}

function whole<Part extends SecurityPhases | Speculation>(part: Part): Part {
  const entries = Object.entries(part).map(([name, value]) => [name, Math.round(value)])
  return Object.fromEntries(entries) as Part
}
