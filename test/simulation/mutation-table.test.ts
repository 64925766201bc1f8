import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { MUTATIONS, mutated } from './mutation-table.ts'

describe('simulation/mutation-table', () => {
  for (const mutation of MUTATIONS) {
    it(`still finds what to break: ${mutation.name}`, () => {
      const sound = readFileSync(new URL(`../../${mutation.file}`, import.meta.url), 'utf8')
      expect(mutated(mutation, sound)).not.equal(sound)
    })
  }
})
