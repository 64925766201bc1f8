/**
 * Compiles *.as.ts in services, which are AssemblyScript, to *.wasm.ts beside them; those that say
 * how many pages of memory they need, the others are a part of these.
 * usage: npm run generate      (test/infra/wasm.test.ts fails when a file is stale)
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { main } from 'assemblyscript/asc'

const ROOT = new URL('../../', import.meta.url).pathname

/** All the memory there is: views of one that grew would be views of nothing. */
const PAGES = /^\/\/ pages: (\d+)$/m

/** What is compiled: paths of the sources and of what they are compiled to, and their memory. */
export const WASM_FILES = globSync('services/**/*.as.ts', { cwd: ROOT }).flatMap((path) => {
  const pages = PAGES.exec(readFileSync(ROOT + path, 'utf8'))?.[1]
  const compiled = ROOT + path.replace('.as.ts', '.wasm.ts')
  return pages ? [{ source: ROOT + path, compiled, pages }] : []
})

type WasmFile = (typeof WASM_FILES)[number]

/** The text of the compiled file of a source. Throws with what the compiler says of it. */
export async function compileWasm({ source, pages }: WasmFile): Promise<string> {
  let code = Buffer.alloc(0)
  const memory = ['--initialMemory', pages, '--maximumMemory', pages]
  const flags = ['--runtime', 'stub', '--enable', 'simd', '-O3', '--noAssert', ...memory]
  const { error, stderr } = await main([source, '--outFile', 'code.wasm', ...flags], {
    writeFile(_name, content) {
      code = Buffer.from(content)
    },
  })
  if (error) throw new Error(stderr.toString(), { cause: error })
  const from = `// Generated from ${basename(source)} by \`npm run generate\`; do not edit.\n\n`
  return `${from}/** WebAssembly, in base64. */\nexport const CODE =\n  '${code.toString('base64')}'\n`
}

if (import.meta.main) {
  for (const file of WASM_FILES) writeFileSync(file.compiled, await compileWasm(file))
}
