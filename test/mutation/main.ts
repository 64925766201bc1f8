/**
 * npm run mutate: changes the code in one place at a time, in a copy, and shows that its tests see
 * it. A change that none sees stands in the report; below 80 % of them seen, the run fails.
 * usage: npm run mutate [-- TARGET|FILE ...]      (core/windows, core/triggers, bus/run, or one of
 *                                                  their files; default: all)
 */
import { matchesGlob } from 'node:path'
import { Stryker } from '@stryker-mutator/core'

interface Target {
  readonly mutate: string
  /** The tests that are answerable for it, as one pattern. */
  readonly tests: string
}

const TARGETS: Readonly<Record<string, Target>> = {
  'core/windows': {
    mutate: 'services/core/windows/*.ts',
    tests: 'test/services/core/windows/*.test.ts',
  },
  'core/triggers': {
    mutate: 'services/core/triggers/*.ts',
    tests: 'test/services/core/triggers/*.test.ts',
  },
  'bus/run': {
    mutate: 'services/bus/{run,lane,perform,in-order,batch,retry}.ts',
    tests: 'test/services/bus/{run,lane,retry}*.test.ts',
  },
}

/** A target by its name, or the one of a file, for that file alone. */
function targetOf(name: string): Target | undefined {
  const ofFile = Object.values(TARGETS).find(({ mutate }) => matchesGlob(name, mutate))
  return TARGETS[name] ?? (ofFile && { ...ofFile, mutate: name })
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !targetOf(name))
if (unknown.length > 0) {
  const names = Object.keys(TARGETS).join(', ')
  console.error(`no target ${unknown.join(', ')}; there are ${names}, and their files`)
  process.exit(2)
}
for (const name of asked.length > 0 ? asked : Object.keys(TARGETS)) {
  const { mutate, tests } = targetOf(name)!
  console.log(`${name}: ${mutate}, by ${tests}`)
  await new Stryker({
    // What is compiled to WebAssembly runs as it was compiled.
    mutate: [mutate, '!**/*.{as,wasm}.ts'],
    // Stryker's own runner knows no mocha 12; a process for each mutant needs half a second.
    testRunner: 'command',
    commandRunner: { command: `mocha --bail '${tests}'` },
    // Work that never ends counts as seen; a machine that is busy with other things must not.
    timeoutMS: 20_000,
    // No file: Stryker rewrites it by an API that TypeScript 7 has not got, and nothing reads it.
    tsconfigFile: 'none',
    disableTypeChecks: false,
    ignorePatterns: ['.stack', 'data', 'docs', 'infra'],
    tempDirName: 'data/mutation',
    cleanTempDir: 'always',
    reporters: ['clear-text'],
    thresholds: { high: 90, low: 80, break: 80 },
  }).runMutationTest()
}
