import type { TokenEvents } from '../../schemas/records.ts'
import { type Column, required } from './column.ts'
import { sortedJson } from './sorted-json.ts'

/** What every record says of its request. */
export const REQUEST_COLUMNS: readonly Column<TokenEvents>[] = [
  required('request_id', 'string', (r) => r.request_id),
  required('source', 'label', (r) => r.source),
  required('provider', 'label', (r) => r.provider),
  required('model', 'label', (r) => r.model),
  required('endpoint', 'label', (r) => r.endpoint),
  required('region', 'label', (r) => r.region),
  required('tenant', 'label', (r) => r.tenant),
  required('attributes', 'label', (r) => sortedJson(r.attributes)),
  required('started_at', 'timestamp_us', (r) => r.started_at),
]
