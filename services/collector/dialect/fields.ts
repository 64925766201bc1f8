/** A JSON object of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>

/** An object without fields, in place of one that is missing. */
const NONE: Fields = Object.freeze({})

/** Whether a parsed value has fields to look at. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The fields of a value that may be missing. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : NONE
}

/** The items of a list that may be missing. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Whether it is a text with something in it. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0
}

/** A JSON object out of its text; null when it is none. */
export function parseFields(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : null
  } catch {
    return null
  }
}
