import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { type Column, type Dataset, required, SOURCE_COLUMNS } from './column.ts'
import { REQUEST_COLUMNS } from './request-columns.ts'

/** Event time from which gaps_us[0] counts. */
function beginsAt({ started_at, elapsed_us }: TokenEvents): number {
  return started_at + elapsed_us
}

const COLUMNS: readonly Column<TokenEvents>[] = [
  ...REQUEST_COLUMNS,
  required('begins_at', 'timestamp_us', beginsAt),
  required('first_chunk', 'int32', (r) => r.first_chunk),
  required('gaps_us', 'int32_list', (r) => r.gaps_us),
  // Empty: one chunk is taken as one token.
  required('tokens', 'int32_list', (r) => r.tokens),
  required('token_source', 'label', (r) => r.token_source),
  required('is_last', 'bool', (r) => r.end !== null),
  ...SOURCE_COLUMNS,
]

/** One row per record of chunks; chunk i came at begins_at + gaps_us[0] + ... + gaps_us[i]. */
export const TOKEN_EVENT_ROWS: Dataset = {
  name: 'token_events',
  version: 1,
  topic: TOKEN_EVENTS,
  columns: COLUMNS,
  keeps: () => true,
  eventUs: beginsAt,
  timeColumn: 'begins_at',
  sortColumns: ['tenant', 'model'],
}
