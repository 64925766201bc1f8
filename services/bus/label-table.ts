import type { Labels } from '../core/measure/labels.ts'
import { createAvroReader } from './avro-reader.ts'
import { countForgotten } from './health.ts'

/** Finds the labels of a record by the bytes that hold them: a string is made once per new set. */
export interface LabelTable {
  readonly empty: Labels
  /** The labels in bytes [from, to): provider, model, endpoint, region, tenant, attributes. */
  lookUp(bytes: Uint8Array, from: number, to: number): Labels
  /** The same object for equal labels that another way of decoding gave. */
  intern(labels: Labels): Labels
}

interface Entry {
  readonly words: DataView
  readonly labels: Labels
}

/** What is kept; after that the table starts again from nothing. */
const LABEL_SETS_MAX = 65_536
const BYTES_MAX = 32 * 1024 * 1024

const EMPTY: Labels = Object.freeze({
  model: '',
  endpoint: '',
  region: '',
  tenant: '',
  provider: '',
  attributes: Object.freeze({}),
})

const NOTHING: readonly Entry[] = []

/** An empty table. */
export function createLabelTable(): LabelTable {
  const byHash = new Map<number, Entry[]>()
  const byText = new Map<string, Labels>()
  const reader = createAvroReader()
  let words: DataView = new DataView(new ArrayBuffer(0))
  let entries = 0
  let held = 0

  /** Makes room: one set of labels can be written in many ways, each an entry of its own. */
  function account(size: number): void {
    entries += 1
    held += size
    if (entries <= LABEL_SETS_MAX && held <= BYTES_MAX) return
    countForgotten('labels', entries - 1)
    byText.clear()
    byHash.clear()
    entries = 1
    held = size
  }

  function intern(labels: Labels): Labels {
    const { model, endpoint, region, tenant, provider } = labels
    const attributes = Object.fromEntries(Object.entries(labels.attributes).sort())
    const own = { model, endpoint, region, tenant, provider, attributes }
    const text = JSON.stringify(own)
    const known = byText.get(text)
    if (known) return known
    const frozen = Object.freeze(own)
    byText.set(text, frozen)
    return frozen
  }

  function read(bytes: Uint8Array, from: number, to: number): Labels {
    reader.open(bytes.subarray(0, to), from)
    const [provider, model, endpoint, region, tenant] = [
      reader.string(),
      reader.string(),
      reader.string(),
      reader.string(),
      reader.string(),
    ]
    const attributes: [string, string][] = []
    for (let items = reader.long(); items !== 0; items = reader.long()) {
      if (items < 0) reader.long()
      for (let i = 0; i < Math.abs(items); i++) attributes.push([reader.string(), reader.string()])
    }
    return { provider, model, endpoint, region, tenant, attributes: Object.fromEntries(attributes) }
  }

  return {
    empty: EMPTY,
    intern(labels) {
      account(JSON.stringify(labels).length)
      return intern(labels)
    },
    lookUp(bytes, from, to) {
      // The records of one fetch lie in one buffer.
      if (words.buffer !== bytes.buffer) words = new DataView(bytes.buffer)
      const start = bytes.byteOffset + from
      const end = bytes.byteOffset + to
      const hash = hashBytes(words, start, end)
      const known = byHash.get(hash) ?? NOTHING
      for (let i = 0; i < known.length; i++) {
        if (equal(known[i]!.words, words, start, end)) return known[i]!.labels
      }
      account(to - from)
      const labels = intern(read(bytes, from, to))
      const entry = { words: new DataView(bytes.buffer.slice(start, end)), labels }
      const bucket = byHash.get(hash)
      if (bucket) bucket.push(entry)
      else byHash.set(hash, [entry])
      return labels
    },
  }
}

/** Four bytes at a time: each step ends with a shift, or high bits would never reach low ones. */
function hashBytes(words: DataView, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ words.getInt32(at, true), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  for (; at < end; at++) hash = Math.imul(hash ^ words.getUint8(at), 0x01000193)
  return hash >>> 0
}

function equal(known: DataView, words: DataView, start: number, end: number): boolean {
  const size = end - start
  if (known.byteLength !== size) return false
  let i = 0
  for (; i + 4 <= size; i += 4) {
    if (known.getInt32(i, true) !== words.getInt32(start + i, true)) return false
  }
  for (; i < size; i++) if (known.getUint8(i) !== words.getUint8(start + i)) return false
  return true
}
