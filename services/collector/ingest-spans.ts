import type { TokenEvents } from '../../schemas/records.ts'
import { type OtlpForm, type OtlpSpan, readSpans } from './otlp-trace.ts'
import {
  type Attributes,
  attributesOf,
  callAttributes,
  placeOf,
  recordsOfCall,
} from './span-record.ts'

export interface SpanReading<Checked> {
  /** Of the calls that count. */
  readonly records: readonly Checked[]
  /** What is wrong with others that would be one. */
  readonly faults: readonly string[]
  /** They are in the queue: known from now on. */
  took(): void
}

/** Finds the calls in a body; null when it has too many spans. Throws when it is no request. */
type ReadCalls<Checked> = (form: OtlpForm, bytes: Uint8Array) => SpanReading<Checked> | null

/** The records of a call as they are to be put, or what no record may be. */
type CheckRecords<Checked> = (records: readonly TokenEvents[]) => readonly Checked[] | string

/** Of one body: reading so many takes some tens of milliseconds. */
export const SPANS_MAX = 2_048
/** Spans that are remembered: those of some minutes, since exporters give up after one or two. */
const KNOWN_MAX = 65_536
/** Layers of instrumentation inside one another. */
const DEPTH_MAX = 16

/**
 * A reader of bodies, which come in any order, and again when an exporter has got no answer. A call
 * that goes through instrumented layers has a span of each, one inside the other: it counts once,
 * as the innermost of the first body that has one of them.
 */
export function createSpanReader<Checked>(check: CheckRecords<Checked>): ReadCalls<Checked> {
  const [taken, around] = [createRecent(), createRecent()]

  function judge(spans: readonly OtlpSpan[]) {
    /** Records of good calls, and the parents of all spans, by id. */
    const good = new Map<string, readonly Checked[]>()
    const parents = new Map<string, string>()
    const faults: string[] = []
    const resources = new Map<unknown, Attributes>()
    for (const { span, resource } of spans) {
      const place = placeOf(span)
      if (place !== null) parents.set(place.id, place.parentId)
      const own = callAttributes(span)
      if (own === null) continue
      if (place === null) {
        faults.push('a span: traceId and spanId must be 32 and 16 hexadecimal digits')
        continue
      }
      const shared = resources.get(resource) ?? attributesOf(resource)
      resources.set(resource, shared)
      const records = recordsOfCall(span, place.id, own, shared)
      const checked = 'must' in records ? `${records.field} must ${records.must}` : check(records)
      if (typeof checked === 'string') faults.push(`span ${place.id}: ${checked}`)
      else good.set(place.id, checked)
    }
    return { good, parents, faults }
  }

  return (form, bytes) => {
    const spans = readSpans(form, bytes, SPANS_MAX)
    if (spans === null) return null
    const { good, parents, faults } = judge(spans)
    const outsides = new Map([...good.keys()].map((id) => [id, outside(id, parents)]))
    const outer = new Set([...outsides.values()].flat())
    const ids = [...good.keys()].filter((id) => {
      const isKnown = taken.has(id) || around.has(id) || outsides.get(id)!.some(taken.has)
      return !outer.has(id) && !isKnown
    })
    return {
      records: ids.flatMap((id) => good.get(id)!),
      faults,
      took() {
        for (const id of ids) {
          taken.add(id)
          for (const each of outsides.get(id)!) around.add(each)
        }
      },
    }
  }
}

/** The ids of the spans that a span is in, as far as they are in its body, and one more. */
function outside(id: string, parents: ReadonlyMap<string, string>): readonly string[] {
  const ids: string[] = []
  let next = parents.get(id)
  while (next && next !== id && ids.length < DEPTH_MAX) {
    ids.push(next)
    next = parents.get(next)
  }
  return ids
}

/** Ids of late. */
function createRecent() {
  const ids = new Set<string>()
  return {
    has: (id: string) => ids.has(id),
    add(id: string) {
      ids.add(id)
      if (ids.size > KNOWN_MAX) ids.delete(ids.values().next().value!)
    },
  }
}
