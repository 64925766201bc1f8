import { readdirSync, readFileSync } from 'node:fs'
import avro, { type Type } from 'avsc'
import { expect } from 'chai'
import { generateRecords } from '../../infra/generate/records.ts'

const SCHEMAS = new URL('../../schemas/', import.meta.url).pathname
const AVRO = `${SCHEMAS}avro`
const FILES = readdirSync(AVRO).sort()

function schemaOf(file: string) {
  return JSON.parse(readFileSync(`${AVRO}/${file}`, 'utf8'))
}

/** The full names of every named type of a schema. */
function namesIn(file: string): string[] {
  const names = new Set<string>()
  avro.Type.forSchema(schemaOf(file), {
    typeHook(schema: unknown, options: { namespace?: string }): Type | undefined {
      const { name, namespace } = Object(schema) as { name?: string; namespace?: string }
      if (name) names.add(`${namespace ?? options.namespace}.${name}`)
      return undefined
    },
  } as never)
  return [...names]
}

describe('schemas/records', () => {
  it('are what npm run generate makes of the schemas', () => {
    expect(readFileSync(`${SCHEMAS}records.ts`, 'utf8')).to.equal(generateRecords(AVRO))
  })

  it('holds nothing but schemas in schemas/avro', () => {
    expect(FILES.filter((file) => !/^[a-z]+(-[a-z]+)*\.avsc$/.test(file))).to.deep.equal([])
  })

  for (const file of FILES) {
    it(`reads ${file} as a record of the namespace lens, with a description`, () => {
      const { type, namespace, doc } = schemaOf(file)
      expect(avro.Type.forSchema(schemaOf(file)).typeName).to.equal('record')
      expect({ type, namespace }).to.deep.equal({ type: 'record', namespace: 'lens' })
      expect(doc).to.be.a('string').that.is.not.empty
    })
  }

  it('names no two types alike', () => {
    const names = FILES.flatMap(namesIn)
    expect(names).to.include.members(['lens.TokenEvents', 'lens.RequestEnd', 'lens.Status'])
    expect(names.filter((name, i) => names.indexOf(name) !== i)).to.deep.equal([])
  })
})
