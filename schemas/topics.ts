/** One row per topic: the only table that creates topics. */
export interface Topic {
  readonly name: string
  /** What the record key holds, for a reader of the topic. */
  readonly key: string
  /** Schema file in schemas/avro without its ending. */
  readonly schema: string
  readonly cleanup: 'delete' | 'compact'
  /** Ignored for a compacted topic. */
  readonly retentionMs: number
  /** LogAppendTime where a consumer needs the broker's clock (design §4: cuts are data). */
  readonly timestamps: 'CreateTime' | 'LogAppendTime'
  /** Largest record batch that the broker accepts. */
  readonly messageBytesMax: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const MIB = 1024 * 1024

export const TOKEN_EVENTS = 'lens.token-events'
export const RESOURCE_SAMPLES = 'lens.resource-samples'
export const WINDOW_SLICES = 'lens.window-slices'
export const AGGREGATES = 'lens.aggregates'
export const AGGREGATES_LIVE = 'lens.aggregates-live'
export const TRIGGER_EVENTS = 'lens.trigger-events'
export const TRIGGER_STATE = 'lens.trigger-state'
export const DEAD_LETTERS = 'lens.dead-letters'

function topic(
  name: string,
  key: string,
  schema: string,
  retentionMs: number,
  more: Partial<Topic> = {},
): Topic {
  const common = { cleanup: 'delete', timestamps: 'CreateTime', messageBytesMax: 4 * MIB } as const
  return Object.freeze({ name, key, schema, retentionMs, ...common, ...more })
}

const APPEND_TIME = { timestamps: 'LogAppendTime' } as const

/** Every topic of the system, in the order in which data flows. */
export const TOPICS: readonly Topic[] = [
  topic(TOKEN_EVENTS, 'request_id', 'token-events', DAY_MS, APPEND_TIME),
  topic(RESOURCE_SAMPLES, 'endpoint', 'resource-sample', DAY_MS, APPEND_TIME),
  topic(WINDOW_SLICES, 'none: explicit partition = hash(series)', 'window-slice', 6 * HOUR_MS, {
    ...APPEND_TIME,
  }),
  topic(AGGREGATES, 'series', 'aggregate', 7 * DAY_MS, APPEND_TIME),
  topic(AGGREGATES_LIVE, 'series', 'aggregate', 15 * MINUTE_MS),
  topic(TRIGGER_EVENTS, 'trigger_id', 'trigger-event', 30 * DAY_MS, APPEND_TIME),
  topic(TRIGGER_STATE, 'rule + series', 'trigger-state', 0, { cleanup: 'compact' }),
  // A dead letter wraps a whole record, so it must fit around the largest one.
  topic(DEAD_LETTERS, 'topic-partition-offset', 'dead-letter', 14 * DAY_MS, {
    messageBytesMax: 5 * MIB,
  }),
]

/** The row of a topic; throws on a name that is not in the table. */
export function topicNamed(name: string): Topic {
  const found = TOPICS.find((row) => row.name === name)
  if (!found)
    throw new Error(`unknown topic ${name}; one of ${TOPICS.map((t) => t.name).join(', ')}`)
  return found
}
