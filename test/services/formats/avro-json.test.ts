import { expect } from 'chai'
import { createAvroJsonReader } from '../../../services/formats/avro-json.ts'

const SCHEMA = {
  type: 'record',
  name: 'A',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'share', type: 'double', default: 1 },
    { name: 'is', type: 'boolean', default: false },
    { name: 'labels', type: { type: 'map', values: 'string' }, default: {} },
    {
      name: 'part',
      type: [
        'null',
        {
          type: 'record',
          name: 'B',
          fields: [
            {
              name: 'kinds',
              type: { type: 'array', items: { type: 'enum', name: 'K', symbols: ['x', 'y'] } },
            },
          ],
        },
      ],
      default: null,
    },
  ],
}
const read = createAvroJsonReader(SCHEMA)
const least = { id: 'a', at: 1 }

describe('formats/avro-json', () => {
  it('fills in defaults and reads unions without the names of their branches', () => {
    const more = { share: 1, is: false, labels: {}, part: null }
    expect(read(least)).deep.equal({ value: { ...least, ...more } })
    const whole = {
      ...least,
      share: 0.5,
      is: true,
      labels: { k: 'v' },
      part: { kinds: ['y', 'x'] },
    }
    expect(read(whole)).deep.equal({ value: whole })
  })

  it('takes a label of any name for a label', () => {
    const labels = JSON.parse('{"__proto__":"v","constructor":"w"}')
    const { value } = read({ ...least, labels }) as { value: { labels: object } }
    expect(Object.entries(value.labels)).deep.equal([
      ['__proto__', 'v'],
      ['constructor', 'w'],
    ])
  })

  const cases: readonly [unknown, string, string][] = [
    [null, '', 'be an object'],
    [[], '', 'be an object'],
    [{ at: 1 }, 'id', 'be given'],
    [{ ...least, at: 1.5 }, 'at', 'be a whole number below 2^53'],
    [{ ...least, at: 2 ** 53 }, 'at', 'be a whole number below 2^53'],
    [{ ...least, share: '1' }, 'share', 'be a number'],
    [{ ...least, is: 0 }, 'is', 'be true or false'],
    [{ ...least, labels: { a: null } }, 'labels.a', 'be a text'],
    [{ ...least, part: {} }, 'part.kinds', 'be given'],
    [{ ...least, part: { kinds: ['x', 'z'] } }, 'part.kinds[1]', 'be one of x, y'],
    [{ ...least, part: { kinds: {} } }, 'part.kinds', 'be a list'],
    [{ ...least, toString: 1 }, 'toString', 'be left out: there is no such field'],
  ]
  for (const [json, field, must] of cases) {
    it(`of ${JSON.stringify(json)}: ${field} must ${must}`, () => {
      expect(read(json)).deep.equal({ field, must })
    })
  }
})
