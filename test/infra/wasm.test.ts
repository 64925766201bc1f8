import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'
import { compileWasm, WASM_FILES } from '../../infra/generate/wasm.ts'

describe('infra/generate/wasm', () => {
  for (const file of WASM_FILES) {
    it(`makes ${basename(file.compiled)} as it is of its source`, async function () {
      this.timeout(60_000)
      expect(readFileSync(file.compiled, 'utf8')).equal(await compileWasm(file))
    })
  }
})
