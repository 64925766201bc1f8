/** The labels of a request that a grouping may use as dimensions. */
export interface Labels {
  readonly model: string
  readonly endpoint: string
  readonly region: string
  readonly tenant: string
  readonly provider: string
  readonly attributes: Readonly<Record<string, string>>
}

const NAMED = new Set(['model', 'endpoint', 'region', 'tenant', 'provider'])

/** The value of a dimension: a named label, else the attribute of that name, else empty. */
export function dimensionValue(labels: Labels, dimension: string): string {
  if (NAMED.has(dimension)) return labels[dimension as 'model']
  return Object.hasOwn(labels.attributes, dimension) ? labels.attributes[dimension]! : ''
}
