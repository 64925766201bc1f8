import type { Labels } from '../core/measure/labels.ts'
import { createAvroReader } from './avro-reader.ts'
import { createByteIndex } from './byte-index.ts'
import { countForgotten } from './health.ts'

/** Finds the labels of a record by the bytes that hold them: a string is made once per new set. */
export interface LabelTable {
  readonly empty: Labels
  /** The labels in bytes [from, to): provider, model, endpoint, region, tenant, attributes. */
  lookUp(bytes: Uint8Array, from: number, to: number): Labels
  /** The same object for equal labels that another way of decoding gave. */
  intern(labels: Labels): Labels
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

/** An empty table. */
export function createLabelTable(): LabelTable {
  const index = createByteIndex()
  let byNumber: Labels[] = []
  const byText = new Map<string, Labels>()
  const reader = createAvroReader()
  let view: DataView = new DataView(new ArrayBuffer(0))
  let entries = 0
  let held = 0

  /** Makes room: one set of labels can be written in many ways, each an entry of its own. */
  function account(size: number): void {
    entries += 1
    held += size
    if (entries <= LABEL_SETS_MAX && held <= BYTES_MAX) return
    countForgotten('labels', entries - 1)
    byText.clear()
    index.clear()
    byNumber = []
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
      if (view.buffer !== bytes.buffer) view = new DataView(bytes.buffer)
      const number = index.find(view, bytes.byteOffset + from, to - from)
      if (number >= 0) return byNumber[number]!
      account(to - from)
      const labels = intern(read(bytes, from, to))
      byNumber[index.add()] = labels
      return labels
    },
  }
}
