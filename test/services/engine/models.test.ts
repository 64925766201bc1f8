import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import { defaultModels, readModels, withoutFaults } from '../../../services/engine/models.ts'
import { quickModel } from './fixture.ts'

describe('engine models', () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-models-'))
  after(() => rmSync(folder, { recursive: true }))
  const file = (text: string) => {
    const path = join(folder, 'models.json')
    writeFileSync(path, text)
    return path
  }

  it('reads a table from a file, and has one of its own', () => {
    expect(readModels('')).to.equal(defaultModels)
    expect(readModels(file(JSON.stringify([quickModel()])))).to.deep.equal([quickModel()])
    expect(readModels(file(JSON.stringify(defaultModels)))).to.deep.equal(defaultModels)
  })

  it('names each fault of a table', () => {
    const models = [quickModel({ slots: 0 }), { ...quickModel(), colour: 'red' }]
    expect(() => readModels(file(JSON.stringify(models))))
      .to.throw(LensError, /0\.slots: .*\n1: .*colour/)
      .with.property('code', 'configuration_invalid')
  })

  it('refuses two models of one name, and faults that add up to more than 1', () => {
    const twice = JSON.stringify([quickModel(), quickModel()])
    expect(() => readModels(file(twice))).to.throw(LensError, 'same name')
    const faults = { http429: 0.5, http500: 0.5, inBandError: 0.1, truncated: 0 }
    const often = JSON.stringify([quickModel({ faults })])
    expect(() => readModels(file(often))).to.throw(LensError, 'more than 1')
  })

  it('refuses a file that is missing or no JSON', () => {
    expect(() => readModels(join(folder, 'none.json'))).to.throw(LensError, 'none.json')
    expect(() => readModels(file('{'))).to.throw(LensError, 'models.json')
  })

  it('takes out every fault on request', () => {
    for (const { faults } of withoutFaults(defaultModels)) {
      expect(Object.values(faults)).to.deep.equal([0, 0, 0, 0])
    }
  })
})
