import { createHash } from 'node:crypto'
import type { RowSource } from '../formats/parquet.ts'
import type { FileEntry } from './range-marker.ts'

/**
 * Says that the rows of some files of an hour are in one other: from then on that one is of the
 * lake, and they are not. The n-th of an hour can be created once only, so that of two who compact
 * the same hour one has to look again.
 */
export interface Compaction {
  readonly inputs: readonly CompactedInput[]
  readonly output: FileEntry
  /** Whether more would not have gone into it. */
  readonly isFull: boolean
  /** When it was done, in ms since 1970. */
  readonly atMs: number
}

/** A file that has been replaced, and of which records its rows were made. */
export interface CompactedInput {
  readonly path: string
  readonly sources: readonly RowSource[]
}

/** One that was read, and which of its hour it is. */
export interface RecordedCompaction extends Compaction {
  readonly generation: number
}

/** Where the records of compactions are. */
export const COMPACTIONS = '_compactions/'

const DIGITS = 6
const OUTPUT = /^(.*\/)compacted-(\d+)-[0-9a-f]+\.parquet$/

/** The folder of an hour, `requests/date=2026-11-24/hour=12/`, in which a file lies. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}

/** Where the n-th compaction of an hour's folder is recorded, n from 1. */
export function compactionPath(folder: string, generation: number): string {
  return `${COMPACTIONS}${folder}${numberText(generation)}.json`
}

/** Where its rows go: under a name of these inputs, which others can have for no other ones. */
export function outputPath(
  folder: string,
  generation: number,
  inputs: Compaction['inputs'],
): string {
  const text = inputs.map(({ path }) => path).join('\n')
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return `${folder}compacted-${numberText(generation)}-${hash}.parquet`
}

/** Which compaction of its hour a file was made by; null when it is of none. */
export function generationOf(path: string): number | null {
  const [, , generation] = OUTPUT.exec(path) ?? []
  return generation === undefined ? null : Number(generation)
}

/** The bytes of a record. */
export function compactionBytes({ inputs, output, isFull, atMs }: Compaction): Uint8Array {
  return Buffer.from(`${JSON.stringify({ inputs, output, isFull, atMs })}\n`)
}

/** Reads what compactionBytes wrote; throws on anything else. */
export function readCompaction(bytes: Uint8Array): RecordedCompaction {
  const read = JSON.parse(Buffer.from(bytes).toString()) as Compaction
  const generation = generationOf(read.output?.path ?? '')
  if (generation === null || !Array.isArray(read.inputs)) {
    throw new Error('it is no record of a compaction')
  }
  return { ...read, generation }
}

/** What the rows of all inputs were made of. */
export function sourcesOf({ inputs }: Pick<Compaction, 'inputs'>): readonly RowSource[] {
  return inputs.flatMap(({ sources }) => sources)
}

function numberText(generation: number): string {
  return String(generation).padStart(DIGITS, '0')
}
