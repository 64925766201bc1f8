import type { ResourceSample } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES } from '../../schemas/topics.ts'
import { type Column, type Dataset, required, SOURCE_COLUMNS } from './column.ts'
import { sortedJson } from './sorted-json.ts'

const COLUMNS: readonly Column<ResourceSample>[] = [
  required('at', 'timestamp_us', (s) => s.at),
  required('endpoint', 'label', (s) => s.endpoint),
  required('model', 'label', (s) => s.model),
  required('region', 'label', (s) => s.region),
  required('name', 'label', (s) => s.name),
  required('value', 'float64', (s) => s.value),
  required('attributes', 'label', (s) => sortedJson(s.attributes)),
  ...SOURCE_COLUMNS,
]

/** One row per reading of a gauge; a value may be NaN or infinite, as it was read. */
export const SAMPLE_ROWS: Dataset = {
  name: 'resource_samples',
  version: 1,
  topic: RESOURCE_SAMPLES,
  columns: COLUMNS,
  keeps: () => true,
  eventUs: (record: ResourceSample) => record.at,
  timeColumn: 'at',
  sortColumns: ['name', 'endpoint'],
}
