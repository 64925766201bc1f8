/** A break of the protocol. */
export interface Mutation {
  readonly name: string
  readonly file: string
  /** What is there, and what is put in its place. */
  readonly edits: readonly (readonly [find: string, put: string])[]
}

/** What the simulation must find. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'commit before publish',
    file: 'services/bus/lane.ts',
    edits: [
      ['if (plan.commit && !gone) await commit(plan.commit, how)', ''],
      [
        'await perform(plan, refused, parts, how)',
        'if (plan.commit) await commit(plan.commit, how)\nawait perform(plan, refused, parts, how)',
      ],
    ],
  },
  {
    name: 'apply an unclosed flush',
    file: 'services/statistics/merger.ts',
    edits: [
      ['records: [...held.byKey.values()],', 'records: [],'],
      [
        '      return null\n    },\n    rewindOffset',
        '      return open(offset, record)\n    },\n    rewindOffset',
      ],
      [
        'const NEW_SOURCE',
        `function open(offset: number, record: SliceRecord): CompleteRange {
          const closing = { watermark: -1, event_watermark: -1, complete_ms: -1 } as Closing
          const place = { topic: record.source_topic, partition: record.source_partition }
          return { ...place, records: [record], closing, floorOffset: offset }
        }\nconst NEW_SOURCE`,
      ],
    ],
  },
  {
    name: 'cut by wall clock',
    file: 'services/windowing/processor.ts',
    edits: [
      [
        'const later = Math.floor(record.appendMs / 1000) > lastSecond',
        'const later = performance.now() % 7 < 1',
      ],
    ],
  },
  {
    name: 'forget the rewind offset',
    file: 'services/statistics/processor.ts',
    edits: [['const start = last?.rewind ?? ', 'const start = ']],
  },
  {
    name: 'watermark without the idle rule',
    file: 'services/windowing/processor.ts',
    edits: [['advanceWatermark(watermark, Math.floor(brokerMs) - policy.disorderMs)', 'watermark']],
  },
  {
    name: 'forget a window before its correction',
    file: 'services/statistics/windows.ts',
    edits: [['yield* corrections(over)', '']],
  },
  {
    name: 'take what lies behind a gap',
    file: 'services/bus/lane.ts',
    edits: [['if (batch.from > position) {', 'if (batch.from < 0) {']],
  },
  {
    name: 'commit a range of the lake before its upload',
    file: 'services/exporter/lake-processor.ts',
    edits: [
      [
        'const commit = { offset: range.from, metadata: writePlan(range) }',
        "const commit = { offset: range.to, metadata: '' }",
      ],
    ],
  },
  {
    name: 'put a file of the lake before its end is planned',
    file: 'services/exporter/lake-processor.ts',
    edits: [
      [
        'return { ...plan, commit, rest: () => goOn(source, range, notBeforeMs) }',
        `const all = [...effects, lakeRange(range)]
        const end = { offset: range.to, metadata: '' }
        return { ...plan, effects: all, commit: end, rest: () => goOn(source, null, notBeforeMs) }`,
      ],
    ],
  },
  {
    name: 'put the marker of a range before its files',
    file: 'services/exporter/range-writer.ts',
    edits: [
      [
        'const files: FileEntry[] = []',
        `const files: FileEntry[] = []
        const early = effect.files.map(({ path, dataset, rows }) => {
          return { path, dataset, rows: rows.length, bytes: 0, sha256: '' }
        })
        await sink.marker({ ...range, ...cut, ...counts, files: early })`,
      ],
    ],
  },
  {
    name: 'say a window again that statistics has repeated',
    file: 'services/exporter/otlp-stream.ts',
    edits: [["if (series.seen[place >> 3]! & bit) return 'repeats'", '']],
  },
  {
    name: 'begin running totals anew with each owner',
    file: 'services/exporter/otlp-processor.ts',
    edits: [['if (bad === null) replay(offset, value as Aggregate)', '']],
  },
  {
    name: 'keep no state of triggers',
    file: 'services/triggers/processor.ts',
    edits: [
      ['isWorthKeeping(before, state, isWatched)', 'isWorthKeeping(state, state, isWatched)'],
    ],
  },
  {
    name: 'keep the state of triggers beside its events, not after them',
    file: 'services/triggers/processor.ts',
    edits: [
      [
        'return events.length === 0 ? last : { ...nothing, outputs: events, rest: () => last }',
        'return { ...last, outputs: [...kept, ...events] }',
      ],
    ],
  },
]

/** The text of its file, broken; throws when that no longer says what is to be broken. */
export function mutated({ name, file, edits }: Mutation, sound: string): string {
  return edits.reduce((text, [find, put]) => {
    if (!text.includes(find)) throw new Error(`${name}: ${file} no longer says ${find}`)
    return text.replace(find, () => put)
  }, sound)
}
