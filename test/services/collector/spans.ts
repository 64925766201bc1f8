/** Spans as instrumentations write them, in the JSON of OTLP. */
import { NOON_US } from '../../records.ts'

export const TRACE = '5b8efff798038103d269b633813fc60c'

/** What a span has besides its place; times in seconds since noon. */
export interface SpanShape {
  readonly startS?: number
  readonly endS?: number
  readonly events?: readonly (readonly [name: string, atS: number])[]
  readonly attributes: Readonly<Record<string, unknown>>
  readonly more?: object
}

/** One of the trace, with an id of so many. */
export function otlpSpan(n: number, { startS = 0, endS = 2, ...shape }: SpanShape): object {
  const { events = [], attributes, more = {} } = shape
  return {
    traceId: TRACE,
    spanId: n.toString(16).padStart(16, '0'),
    startTimeUnixNano: nano(startS),
    endTimeUnixNano: nano(endS),
    attributes: attributesOf(attributes),
    events: events.map(([name, atS]) => ({ name, timeUnixNano: nano(atS) })),
    ...more,
  }
}

/** The body of an exporter, with spans of one service. */
export function otlpBody(spans: readonly object[], resource: Record<string, unknown> = {}): object {
  const own = attributesOf({ 'service.name': 'shop', ...resource })
  return { resourceSpans: [{ resource: { attributes: own }, scopeSpans: [{ spans }] }] }
}

function nano(seconds: number): string {
  return `${NOON_US + Math.round(seconds * 1e6)}000`
}

function attributesOf(values: Readonly<Record<string, unknown>>): object[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }))
}

function anyValue(value: unknown): object {
  if (typeof value === 'string') return { stringValue: value }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
