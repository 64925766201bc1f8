/** JSON of a map with its keys in order, so that equal maps are equal texts. */
export function sortedJson(map: Readonly<Record<string, unknown>>): string {
  const keys = Object.keys(map)
  if (keys.length < 2) return JSON.stringify(map)
  return JSON.stringify(Object.fromEntries(keys.sort().map((key) => [key, map[key]])))
}
