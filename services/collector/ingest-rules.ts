import type { RequestEnd, TokenEvents } from '../../schemas/records.ts'

/** A field of a record, what must hold of it, and how that is said. */
type Rule<Subject> = readonly [field: string, holds: (subject: Subject) => boolean, must: string]

const TEXT_LENGTH_MAX = 256
const ERROR_TYPE_LENGTH_MAX = 128
const LABELS_LENGTH_MAX = 8 * 1024
const ATTEMPTS_MAX = 1_000
const NOT_BELOW = 'not be below zero'

/** What the schema cannot say of a record of token events. */
const RUN_RULES: readonly Rule<TokenEvents>[] = [
  ['request_id', (r) => isName(r.request_id), `be a text of 1 to ${TEXT_LENGTH_MAX} characters`],
  [
    'source',
    (r) => r.source.length <= TEXT_LENGTH_MAX,
    `have ${TEXT_LENGTH_MAX} characters at most`,
  ],
  ['attributes', (r) => labelsLength(r) <= LABELS_LENGTH_MAX, 'be shorter, with all labels'],
  ['started_at', (r) => r.started_at > 0, 'be microseconds since 1970'],
  ['gaps_us', (r) => r.gaps_us.every(isCount), 'hold no gap below zero'],
  ['tokens', (r) => r.tokens.every(isCount), 'hold no count below zero'],
  ['tokens', (r) => isAsLong(r), 'be empty, or as long as gaps_us'],
  ['first_chunk', (r) => r.first_chunk >= 0, NOT_BELOW],
  ['elapsed_us', (r) => r.elapsed_us >= 0, NOT_BELOW],
  ['elapsed_us', (r) => r.first_chunk > 0 || r.elapsed_us === 0, 'be 0 before the first chunk'],
]

/** What it cannot say of an end, which is to agree with the chunks of its record. */
const END_RULES: readonly Rule<TokenEvents & { readonly end: RequestEnd }>[] = [
  [
    'end.chunks',
    ({ end, ...run }) => end.chunks === run.first_chunk + run.gaps_us.length,
    'be first_chunk and the gaps of this record together, or be left out',
  ],
  [
    'end.ttft_us',
    ({ end }) => (end.ttft_us === null) === (end.chunks === 0),
    'be given with chunks',
  ],
  [
    'end.ttft_us',
    ({ end, ...run }) => run.first_chunk > 0 || (run.gaps_us[0] ?? null) === end.ttft_us,
    'be the first gap, or be left out',
  ],
  [
    'end.first_chunk_tokens',
    ({ end, ...run }) =>
      run.first_chunk > 0 || run.tokens.length === 0 || run.tokens[0] === end.first_chunk_tokens,
    'be the first of tokens, or be left out',
  ],
  ...(['duration_us', 'first_chunk_tokens', 'input_tokens', 'output_tokens'] as const).map(counted),
  ...(['cached_tokens', 'reasoning_tokens', 'cost_usd'] as const).map(counted),
  [
    'end.attempts',
    ({ end }) => end.attempts >= 1 && end.attempts <= ATTEMPTS_MAX,
    `be from 1 to ${ATTEMPTS_MAX}`,
  ],
  [
    'end.error_type',
    ({ end }) => end.error_type.length <= ERROR_TYPE_LENGTH_MAX,
    `be a class, of at most ${ERROR_TYPE_LENGTH_MAX} characters`,
  ],
  ['end.security', ({ end }) => Object.values(end.security ?? {}).every(isCount), NOT_BELOW],
  ['end.speculative', ({ end }) => Object.values(end.speculative ?? {}).every(isCount), NOT_BELOW],
]

/** The first rule that a record breaks. */
export function brokenRule(record: TokenEvents): { field: string; must: string } | null {
  const { end } = record
  const broken =
    RUN_RULES.find(([, holds]) => !holds(record)) ??
    (end === null ? undefined : END_RULES.find(([, holds]) => !holds({ ...record, end })))
  return broken ? { field: broken[0], must: broken[2] } : null
}

/** Fills in what an end repeats of the chunks of its record, where the program left it out. */
export function withEnd(record: TokenEvents, given: object): TokenEvents {
  const { end, first_chunk, gaps_us, tokens } = record
  if (end === null) return record
  const isWhole = first_chunk === 0 && gaps_us.length > 0
  const filled = {
    chunks: first_chunk + gaps_us.length,
    ...(isWhole ? { ttft_us: gaps_us[0]!, first_chunk_tokens: tokens[0] ?? 1 } : {}),
  }
  return { ...record, end: { ...end, ...filled, ...given } }
}

function counted(name: keyof RequestEnd): Rule<{ readonly end: RequestEnd }> {
  return [`end.${name}`, ({ end }) => isCount(Number(end[name] ?? 0)), NOT_BELOW]
}

function isCount(value: number): boolean {
  return value >= 0
}

function isName(text: string): boolean {
  return text !== '' && text.length <= TEXT_LENGTH_MAX
}

function isAsLong({ tokens, gaps_us }: TokenEvents): boolean {
  return tokens.length === 0 || tokens.length === gaps_us.length
}

function labelsLength({ model, endpoint, region, tenant, provider, attributes }: TokenEvents) {
  const texts = [model, endpoint, region, tenant, provider, ...Object.entries(attributes).flat()]
  return texts.reduce((sum, text) => sum + text.length, 0)
}
