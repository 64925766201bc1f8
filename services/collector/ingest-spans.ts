import type { TokenEvents } from '../../schemas/records.ts'
import { type OtlpForm, readSpans } from './otlp-trace.ts'
import { placeOf, recordsOfSpan, type SpanPlace } from './span-record.ts'

/** A span that is a call of a model, and its records. */
export interface Call extends SpanPlace {
  readonly records: readonly TokenEvents[]
}

export interface SpanReading {
  readonly calls: readonly Call[]
  /** What is wrong with the others that would be one. */
  readonly faults: readonly string[]
}

export interface SpanReader {
  /** The calls in a body that are not known yet. Throws when it is no request of an exporter. */
  read(form: OtlpForm, bytes: Uint8Array): SpanReading
  /** These are known from now on. */
  took(calls: readonly Call[]): void
}

/** Spans that are remembered: those of some minutes, since exporters give up after one or two. */
const KNOWN_MAX = 65_536

/**
 * Finds the calls in the bodies of exporters. An exporter that got no answer sends a body again;
 * and a call that goes through two instrumented layers has a span of each, one inside the other,
 * of which the inner one counts: it ends first, so it never comes in a later body.
 */
export function createSpanReader(): SpanReader {
  const known = new Set<string>()
  return {
    read(form, bytes) {
      const calls: Call[] = []
      const faults: string[] = []
      for (const span of readSpans(form, bytes)) {
        const place = placeOf(span)
        const records = recordsOfSpan(span)
        if ('must' in records)
          faults.push(`span ${place.id}: ${records.field} must ${records.must}`)
        else if (records.length > 0) calls.push({ ...place, records })
      }
      const outer = new Set(calls.map(({ parentId }) => parentId))
      return { calls: calls.filter(({ id }) => !outer.has(id) && !known.has(id)), faults }
    },
    took(calls) {
      for (const { id, parentId } of calls) known.add(id).add(parentId)
      for (const id of known) {
        if (known.size <= KNOWN_MAX) return
        known.delete(id)
      }
    },
  }
}
