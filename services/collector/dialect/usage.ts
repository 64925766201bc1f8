/** What a server says about the tokens of a request; null where it said nothing. */
export interface Usage {
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cachedTokens: number | null
  readonly reasoningTokens: number | null
}

/** The same as a server gave it: of any type, or missing. */
export type GivenUsage = { readonly [Name in keyof Usage]?: unknown }

export const NO_USAGE: Usage = Object.freeze({
  inputTokens: null,
  outputTokens: null,
  cachedTokens: null,
  reasoningTokens: null,
})

/** The choices of one chunk, as far as counting needs them. */
export interface ChunkShape {
  /** How many choices the chunk holds. */
  readonly choices: number
  /** The index of the first of them. */
  readonly index: number
  /** Whether any of them carries output. */
  readonly hasOutput: boolean
}

export interface UsageCounter {
  /**
   * Takes a chunk with the counts so far, if it has any. Returns the tokens of its output when the
   * server counts as it goes (continuous usage), else null.
   */
  chunk(shape: ChunkShape, usage: GivenUsage | null): number | null
  /** Takes the usage of a whole answer. */
  total(usage: GivenUsage): void
  readonly usage: () => Usage
  /** Whether counts contradict one another: they fell, or the chunks have more than the total. */
  readonly disagrees: () => boolean
  /** Whether more than one choice has been seen. */
  readonly hasSeveral: () => boolean
  /** Chunks of choices beyond those that it follows: their tokens are not known. */
  readonly beyond: () => number
}

const COUNT_MAX = 2 ** 31 - 1

/** Choices of one request that are followed. */
export const CHOICES_MAX = 128

/** Where the count of one choice stands. */
interface Choice {
  /** Completion tokens at its last output chunk. */
  counted: number
  /** Completion tokens that its last usage named. */
  latest: number
  /** Output went by without a count, so that the next difference would span more than a chunk. */
  blind: boolean
}

/**
 * Counts tokens from usage fields. With several choices vLLM, SGLang and TensorRT-LLM count each
 * one by itself in its chunks, and all together in the last chunk, which has no choices.
 */
export function createUsageCounter(): UsageCounter {
  const choices = new Map<number, Choice>()
  let usage: Usage = NO_USAGE
  /** Several choices shared a chunk: nobody can say whose tokens its usage counts. */
  let mixed = false
  let beyond = 0
  let fell = false

  function total(given: GivenUsage): void {
    usage = mergeUsage(usage, given)
  }

  function chunk(shape: ChunkShape, given: GivenUsage | null): number | null {
    const { choices: count, index, hasOutput } = shape
    if (given !== null) total(given)
    if (count > 1) mixed = true
    if (count !== 1 || mixed) return null
    const choice = choiceAt(choices, index)
    if (choice === null) {
      beyond += 1
      return null
    }
    // Zero tokens in spite of output is a field that is filled in later, not a count.
    const tokens = countOf(given?.outputTokens)
    if (tokens === null || (hasOutput && tokens === 0)) {
      if (hasOutput) choice.blind = true
      return null
    }
    if (tokens < choice.latest) fell = true
    choice.latest = tokens
    if (choices.size > 1) usage = { ...usage, outputTokens: sumOf(choices) }
    return hasOutput && !fell ? takeOutput(choice, tokens) : null
  }

  function disagrees(): boolean {
    let counted = 0
    for (const choice of choices.values()) counted += choice.counted
    return fell || (usage.outputTokens !== null && counted > usage.outputTokens)
  }

  const hasSeveral = () => mixed || choices.size > 1
  return { chunk, total, usage: () => usage, disagrees, hasSeveral, beyond: () => beyond }
}

/**
 * The tokens since the choice's last output chunk. Those of chunks without text in between (special
 * tokens, text held back by a tool parser) belong to this one: its gap spans them.
 */
function takeOutput(choice: Choice, tokens: number): number | null {
  const known = !choice.blind
  const delta = Math.max(0, tokens - choice.counted)
  choice.counted = Math.max(choice.counted, tokens)
  choice.blind = false
  return known ? delta : null
}

function choiceAt(choices: Map<number, Choice>, index: number): Choice | null {
  let choice = choices.get(index)
  if (!choice && choices.size < CHOICES_MAX) {
    choice = { counted: 0, latest: 0, blind: false }
    choices.set(index, choice)
  }
  return choice ?? null
}

function sumOf(choices: Map<number, Choice>): number {
  let sum = 0
  for (const choice of choices.values()) sum += choice.latest
  return Math.min(sum, COUNT_MAX)
}

/** Cumulative fields replace, never add; what is null or missing erases nothing. */
function mergeUsage(usage: Usage, given: GivenUsage): Usage {
  return {
    inputTokens: countOf(given.inputTokens) ?? usage.inputTokens,
    outputTokens: countOf(given.outputTokens) ?? usage.outputTokens,
    cachedTokens: countOf(given.cachedTokens) ?? usage.cachedTokens,
    reasoningTokens: countOf(given.reasoningTokens) ?? usage.reasoningTokens,
  }
}

function countOf(value: unknown): number | null {
  const isCount = typeof value === 'number' && Number.isInteger(value)
  return isCount && value >= 0 && value <= COUNT_MAX ? value : null
}
