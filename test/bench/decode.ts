import avro from 'avsc'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { createCodec, HEADER_BYTES, readSchemas } from '../../services/bus/codec.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { createTokenRunDecoder } from '../../services/bus/token-run-decoder.ts'
import { NOON_MS, NOON_US } from '../records.ts'
import type { Bench } from './figure.ts'
import { race } from './race.ts'
import { requests } from './requests.ts'

const CHUNKS_PER_RECORD = [1, 16, 50, 200]
const CHUNKS = 500_000

/** Our decoder of the inner loop, checks and look-up of the series included, beside avsc's. */
export const decode: Bench = {
  async *run({ seed, runs, share }) {
    const schemas = readSchemas()
    const codec = await createCodec(createFileRegistry(schemas), () => NOON_MS)
    const type = avro.Type.forSchema(JSON.parse(schemas['token-events']!), { wrapUnions: false })
    for (const chunksPerRecord of CHUNKS_PER_RECORD) {
      const records = Math.ceil((CHUNKS * share) / chunksPerRecord)
      const span = { startUs: NOON_US - 60e6, spanUs: 20e6 }
      const made = requests({ seed, records, chunksPerRecord, series: 1_000, ...span })
      const bytes = made.map((record) => Buffer.from(codec.encode(TOKEN_EVENTS, record)))
      const decoder = createTokenRunDecoder(codec, TOKEN_EVENTS, 60_000)
      const rates = await race(
        {
          ours() {
            for (const each of bytes) if (decoder(each, NOON_MS).bad) throw new Error('bad')
            return records
          },
          avsc() {
            for (const each of bytes) type.decode(each, HEADER_BYTES)
            return records
          },
        },
        { runs, atLeastMs: 400 * share },
      )
      const isUsual = chunksPerRecord === 50
      yield {
        what: `decode, ${chunksPerRecord} chunks a record`,
        unit: 'records/s',
        values: rates.ours,
        peer: { name: 'avsc', values: rates.avsc },
        ...(isUsual && { target: { of: 'ratio', is: 'at least', bound: 3 } }),
      }
    }
  },
}
