import { expect } from 'chai'
import type { FormatName } from '../../../services/formats/format.ts'
import { formatNamed } from '../../../services/formats/formats.ts'
import type { Measured } from '../../../services/lens/format-measure.ts'
import { recommend } from '../../../services/lens/format-needs.ts'

function measured(name: FormatName, bytes: number, rowsPerS: number): Measured {
  const sizes = { bytesPerRow: bytes, zstdBytesPerRow: bytes }
  const speeds = { writeRowsPerS: rowsPerS, readRowsPerS: rowsPerS }
  const format = formatNamed(name)
  return { format, ...sizes, ...speeds, readsNewer: true, readsOlder: true }
}

describe('lens/format-needs', () => {
  const all = [
    measured('json', 900, 100_000),
    measured('ndjson', 900, 100_000),
    measured('csv', 250, 15_000),
    measured('protobuf', 170, 60_000),
    measured('msgpack', 700, 60_000),
    measured('arrow', 260, 50_000),
    measured('parquet', 50, 25_000),
  ]

  it('recommends by what was measured, of those that are able', () => {
    expect(recommend('debugging', all).name).to.equal('ndjson')
    expect(recommend('analytics', all).name).to.equal('parquet')
    expect(recommend('streaming', all).name).to.equal('protobuf')
    expect(recommend('interop', all).name).to.equal('protobuf')
    const others = all.map((one) =>
      one.format.name === 'arrow' ? { ...one, bytesPerRow: 20 } : one,
    )
    expect(recommend('analytics', others).name).to.equal('arrow')
    expect(recommend('streaming', others).name).to.equal('arrow')
  })

  it('names what it must be, and its figures beside the next one', () => {
    expect(recommend('analytics', all).reasons).to.deep.equal([
      'a question reads the columns that it names',
      '50 bytes a row (arrow 260)',
      'read at 25000 rows/s (arrow 50000)',
    ])
  })
})
