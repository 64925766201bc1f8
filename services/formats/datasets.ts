import { AGGREGATE_ROWS } from './aggregates-dataset.ts'
import type { Dataset } from './column.ts'
import { REQUESTS } from './requests-dataset.ts'
import { SAMPLE_ROWS } from './samples-dataset.ts'
import { TOKEN_EVENT_ROWS } from './token-events-dataset.ts'
import { TRIGGER_ROWS } from './triggers-dataset.ts'

/** Every dataset of the lake; a new one is a file and a row here. */
export const DATASETS: readonly Dataset[] = [
  TOKEN_EVENT_ROWS,
  REQUESTS,
  SAMPLE_ROWS,
  AGGREGATE_ROWS,
  TRIGGER_ROWS,
]

/** The datasets that are made from a topic; none when the topic does not go to the lake. */
export function datasetsOf(topic: string): readonly Dataset[] {
  return DATASETS.filter((dataset) => dataset.topic === topic)
}

/** The dataset with this name; throws on one that is not in the table. */
export function datasetNamed(name: string): Dataset {
  const found = DATASETS.find((dataset) => dataset.name === name)
  if (found) return found
  throw new Error(`unknown dataset ${name}; one of ${DATASETS.map((d) => d.name).join(', ')}`)
}
