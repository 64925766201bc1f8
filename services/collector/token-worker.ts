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
      tokenizers.set(model, new Tokenizer(JSON.parse(readFileSync(file, 'utf8')), {}))
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
