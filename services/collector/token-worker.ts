/** The thread that counts tokens: the texts of the chunks of a record in, a number of each out. */
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Tokenizer } from '@huggingface/tokenizers'

/** A tokenizer.json, as models have it at Hugging Face, and the model that it is for. */
export interface TokenizerFile {
  /** Empty for every model that has none of its own. */
  readonly model: string
  readonly file: string
}

export interface Asked {
  readonly model: string
  readonly texts: readonly string[]
}

/** One of each text; null when the model has no tokenizer, or it fails. */
export type Told = readonly number[] | null

const port = parentPort!
const tokenizers = new Map<string, Tokenizer>()
port.postMessage(load(workerData as readonly TokenizerFile[]))
port.on('message', (asked: Asked) => port.postMessage(count(asked)))

/** What is wrong with a file; null when nothing is. */
function load(files: readonly TokenizerFile[]): string | null {
  for (const { model, file } of files) {
    try {
      const json = JSON.parse(readFileSync(file, 'utf8'))
      tokenizers.set(model, new Tokenizer(withoutPrefix(json), {}))
    } catch (error) {
      return `${file} is no tokenizer.json: ${(error as Error).message}`
    }
  }
  return null
}

function count({ model, texts }: Asked): Told {
  const tokenizer = tokenizers.get(model) ?? tokenizers.get('')
  if (!tokenizer) return null
  try {
    return texts.map((text) => tokenizer.encode(text, { add_special_tokens: false }).ids.length)
  } catch {
    return null
  }
}

/** A step before the model, as tokenizer.json has it, which may be several. */
interface Step {
  readonly type: string
  readonly normalizers?: readonly Step[]
  readonly pretokenizers?: readonly Step[]
}

/**
 * Without the space that many put before a text: a chunk is not the beginning of one, and what
 * goes on with a word would have a token too many.
 */
function withoutPrefix<T extends { normalizer: Step | null; pre_tokenizer: Step | null }>(json: T) {
  const [normalizer, pre_tokenizer] = [json.normalizer, json.pre_tokenizer].map(stepWithout)
  return { ...json, normalizer, pre_tokenizer }
}

function stepWithout(step: Step | null | undefined): object | null {
  if (!step || step.type === 'Prepend') return null
  const { normalizers, pretokenizers, ...own } = step
  const kept = (steps: readonly Step[]) => steps.map(stepWithout).filter((one) => one !== null)
  return {
    ...own,
    ...(normalizers && { normalizers: kept(normalizers) }),
    ...(pretokenizers && { pretokenizers: kept(pretokenizers) }),
    ...(own.type === 'Metaspace' && { prepend_scheme: 'never', add_prefix_space: false }),
    ...(own.type === 'ByteLevel' && { add_prefix_space: false }),
  }
}
