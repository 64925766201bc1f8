import { FINDING_KINDS, type Finding, type Findings } from './audit-findings.ts'
import type { LakeTotals } from './audit-lake.ts'
import type { SourceTotals } from './audit-raw.ts'
import type { WindowTotals } from './audit-windows.ts'

/** One raw partition, and what became of its records. */
interface SourceRow extends Readonly<SourceTotals> {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly end: number
  /** Records of the slices that came again, as they were. */
  readonly repeats: number
}

/** All that an audit has found. */
export interface AuditResult {
  /** Whose slices were summed: dimensions by commas, empty for the fleet. */
  readonly groupings: readonly string[]
  readonly sources: readonly SourceRow[]
  readonly windows: readonly WindowTotals[]
  readonly lake: readonly LakeTotals[]
  readonly findings: Findings
}

const FINDINGS_SHOWN = 20

/** The verdict in one line. */
export function verdict({ findings }: AuditResult): string {
  const [first] = findings.list
  if (!first) return 'audit: clean'
  const more = findings.count() - 1
  return `audit: FIRST DISCREPANCY ${told(first)}${more > 0 ? ` (and ${more} more)` : ''}`
}

/** The tables, the discrepancies and the verdict, for a person. */
export function renderAudit(result: AuditResult): string[] {
  const { groupings, sources, windows, lake, findings } = result
  const state = (place: string) => (findings.of(place) === 0 ? 'ok' : `${findings.of(place)} wrong`)
  const lines = table(
    ['raw partition', 'offsets', 'ranges', 'raw', 'counted', 'dead', 'requests', 'repeats', ''],
    sources.map((row) => {
      const name = `${row.topic}-${row.partition}`
      const { ranges, raw, counted, dead, repeats } = row
      const requests =
        row.rawRequests === row.slicedRequests
          ? row.rawRequests
          : `${row.rawRequests}/${row.slicedRequests}`
      const offsets = `${row.from}..${row.end}`
      return [name, offsets, ranges, raw, counted, dead, requests, repeats, state(name)]
    }),
  )
  const names = groupings.map((grouping) => `[${grouping}]`).join(' ')
  lines.push(
    `requests (of resource samples: readings) in the slices of each grouping: ${names}`,
    '',
  )
  const rows = windows.map((row) => [
    ...[`${row.of} ${row.sizeS} s`, row.windows, row.sliced, row.counted, row.late, row.pending],
  ])
  const header = ['windows', 'closed', 'in slices', 'counted', 'late', 'pending']
  lines.push(...table(header, rows), '')
  if (lake.length > 0) {
    const header = ['lake', 'offsets', 'files', 'expected', 'found', 'refused', '']
    const of = lake.map((row) => {
      const name = `${row.dataset}-${row.partition}`
      const offsets = `${row.from}..${row.end}`
      return [name, offsets, row.files, row.expected, row.found, row.refused, state(name)]
    })
    lines.push(...table(header, of), '')
  }
  for (const finding of findings.list.slice(0, FINDINGS_SHOWN)) lines.push(`  ${told(finding)}`)
  const left = findings.count() - Math.min(FINDINGS_SHOWN, findings.list.length)
  if (left > 0) lines.push(`  ... and ${left} more; --json has the first ${findings.list.length}`)
  return [...lines, verdict(result)]
}

/** The same for a program. */
export function auditJson({ findings, ...result }: AuditResult): object {
  return {
    clean: findings.count() === 0,
    discrepancies: findings.count(),
    first: findings.list[0] ?? null,
    ...result,
    findings: findings.list,
  }
}

/** The kinds of discrepancies, for --help. */
export function findingsHelp(): string {
  const width = Math.max(...Object.keys(FINDING_KINDS).map((kind) => kind.length))
  const lines = Object.entries(FINDING_KINDS).map(([kind, what]) => [kind.padEnd(width), what])
  return lines.map((line) => `  ${line.join('  ')}`).join('\n')
}

function told({ kind, place, text }: Finding): string {
  return `${kind}: ${place}: ${text}`
}

/** The first column to the left, figures to the right. */
/** A header and rows, in columns: the first to the left, numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]) {
  const all = [header, ...rows.map((row) => row.map(String))]
  const widths = header.map((_, i) => Math.max(...all.map((row) => row[i]!.length)))
  return all.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
}
