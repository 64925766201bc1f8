import type { Labels } from '../core/measure/labels.ts'
import { createAvroReader, stringEntries } from './avro-reader.ts'
import type { ByteIndex } from './byte-index.ts'
import { createByteTable } from './byte-table.ts'

/** Finds the labels of a record by the bytes that hold them: a string is made once per new set. */
export interface LabelTable {
  readonly empty: Labels
  /** The labels in bytes [from, to): provider, model, endpoint, region, tenant, attributes. */
  lookUp(bytes: Uint8Array, from: number, to: number): Labels
  /** The same object for equal labels that another way of decoding gave. */
  intern(labels: Labels): Labels
}

const EMPTY: Labels = Object.freeze({
  model: '',
  endpoint: '',
  region: '',
  tenant: '',
  provider: '',
  attributes: Object.freeze({}),
})

/** An empty table; the index must be empty too. */
export function createLabelTable(index?: ByteIndex): LabelTable {
  const byText = new Map<string, Labels>()
  const reader = createAvroReader()
  // One set of labels can be written in many ways, each an entry of its own.
  const table = createByteTable(
    'labels',
    (...range) => intern(read(...range), () => {}),
    () => byText.clear(),
    index,
  )

  /** `isNew` is told of a text that is not known yet. */
  function intern(labels: Labels, isNew: (text: string) => void): Labels {
    const { model, endpoint, region, tenant, provider } = labels
    const attributes = Object.fromEntries(Object.entries(labels.attributes).sort())
    const own = { model, endpoint, region, tenant, provider, attributes }
    const text = JSON.stringify(own)
    const known = byText.get(text)
    if (known) return known
    isNew(text)
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
    const attributes = Object.fromEntries(stringEntries(reader))
    return { provider, model, endpoint, region, tenant, attributes }
  }

  return {
    empty: EMPTY,
    intern: (labels) => intern(labels, (text) => table.account(text.length)),
    lookUp: table.lookUp,
  }
}
