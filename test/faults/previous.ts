/** The code of another commit, beside that of the working tree. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = new URL('../../', import.meta.url).pathname

/** The full name of a revision, and whether the working tree differs from it. */
export function commitOf(revision: string): string {
  const git = (...argv: string[]) =>
    execFileSync('git', argv, { cwd: ROOT, encoding: 'utf8' }).trim()
  const isChanged = revision === 'HEAD' && git('status', '--porcelain') !== ''
  return git('rev-parse', `${revision}^{commit}`) + (isChanged ? ' and uncommitted changes' : '')
}

/**
 * A folder with the files of a commit and our node_modules, removed when the process ends. Not a
 * worktree: that would leave a note in the repository when the run is killed.
 */
export function checkOut(revision: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'lens-previous-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const archive = execFileSync('git', ['archive', commitOf(revision)], {
    cwd: ROOT,
    maxBuffer: 2 ** 30,
  })
  execFileSync('tar', ['-x', '-C', folder], { input: archive })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
