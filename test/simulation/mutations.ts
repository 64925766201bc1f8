/**
 * npm run simulate:mutations: breaks the protocol in one place at a time, in a copy, and shows that
 * the simulation finds it. A mutation that no seed finds is a hole in the simulation. With an
 * argument, only those whose name holds it.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MUTATIONS, type Mutation, mutated } from './mutation-table.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const SEEDS = 400

const copy = mkdtempSync(join(tmpdir(), 'lens-mutations-'))
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
for (const part of ['services', 'schemas', 'test', 'package.json']) {
  cpSync(join(ROOT, part), join(copy, part), { recursive: true })
}
symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))

const only = process.argv[2] ?? ''
const chosen = MUTATIONS.filter(({ name }) => name.includes(only))
let missed = 0
for (const mutation of chosen) {
  const found = firstSeedThatFinds(mutation)
  if (found === null) missed++
  console.log(`${mutation.name}: ${found ?? `not found in ${SEEDS} seeds`}`)
}
console.log(`${chosen.length - missed} of ${chosen.length} found within ${SEEDS} seeds`)
if (missed > 0) process.exitCode = 1

function firstSeedThatFinds(mutation: Mutation): string | null {
  const path = join(copy, mutation.file)
  const sound = readFileSync(path, 'utf8')
  writeFileSync(path, mutated(mutation, sound))
  const argv = ['test/simulation/main.ts', '--seeds', String(SEEDS), '--first']
  const { stdout, stderr } = spawnSync(process.execPath, argv, { cwd: copy, encoding: 'utf8' })
  writeFileSync(path, sound)
  const line = /^seed \d+: .*/m.exec(stdout)
  if (!line && !stdout.includes('0 failed'))
    throw new Error(`${mutation.name}: it did not run\n${stderr}`)
  return line?.[0] ?? null
}
