/** The measured part of docs/performance.md: tables and charts of one report. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type Bar, barChart } from './chart.ts'
import { type Figure, isReached, median, ratio } from './figure.ts'
import { figuresOf, number, type Report, tableCells, targetRows } from './report.ts'

const DOCS = new URL('../../docs/', import.meta.url)
const PAGE = new URL('performance.md', DOCS)
const CHARTS = new URL('performance/', DOCS)
const [BEGIN, END] = ['<!-- bench: begin -->', '<!-- bench: end -->']

/** Puts a report between the page's marks, and its charts beside the page. */
export function writePage(report: Report): void {
  const page = readFileSync(PAGE, 'utf8')
  const [before, rest] = page.split(BEGIN) as [string, string]
  const after = rest.split(END)[1]!
  writeFileSync(PAGE, `${before}${BEGIN}\n${measuredPart(report)}\n${END}${after}`)
  mkdirSync(CHARTS, { recursive: true })
  for (const [name, svg] of Object.entries(charts(report))) {
    writeFileSync(new URL(`${name}.svg`, CHARTS), svg)
  }
}

/** Markdown: what was measured where, the targets, then each bench whole. */
export function measuredPart(report: Report): string {
  const { at, node, cpu, cores, memoryGib, seed } = report
  const where = `${cpu}, ${cores} cores, ${memoryGib} GiB; Node ${node}; seed ${seed}`
  const images = Object.keys(charts(report)).map((name) => `![${name}](performance/${name}.svg)`)
  const benches = Object.entries(report.benches).map(
    ([name, { commit, runs, share, readNs, figures }]) => {
      const part = share === 1 ? '' : `, of ${share} of the work`
      const [before, after] = readNs?.map(Math.round) ?? []
      const read = readNs
        ? `; a random read of memory took ${before} ns before it, ${after} after`
        : ''
      const how = `Commit ${commit}; runs: ${runs}${part}${read}.`
      return `### ${name}\n\n${how}\n\n${markdown(tableCells(name, figures))}`
    },
  )
  return `
${at.slice(0, 10)}: ${where}.
Medians; ± is half of the way from the lowest to the highest run.

${images.join('\n\n')}

${markdown(targetRows(report))}

## All figures

${benches.join('\n\n')}
`
}

/** SVG by name, of what was measured. */
export function charts(report: Report): Readonly<Record<string, string>> {
  const figures = figuresOf(report)
  const ratios = figures.filter(({ target }) => target?.of === 'ratio').map(ratioBar)
  const delays = figures.filter(({ unit }) => unit === 's').map(delayBar)
  return {
    ...(ratios.length > 0 && {
      ratios: barChart('Ours as a multiple of the peer in the same run; black: the target', ratios),
    }),
    ...(delays.length > 0 && { delays: barChart('Seconds; black: the target', delays) }),
  }
}

function ratioBar(figure: Figure): Bar {
  const { what, peer, target } = figure
  const value = ratio(figure)!
  const own = { label: `${what} / ${peer!.name}`, value, text: `${number(value)} ×` }
  return { ...own, target: { at: target!.bound, isReached: isReached(figure)! } }
}

function delayBar(figure: Figure): Bar {
  const value = median(figure.values)
  const own = { label: figure.what, value, text: `${number(value)} s` }
  if (figure.target?.of !== 'value') return own
  return { ...own, target: { at: figure.target.bound, isReached: isReached(figure)! } }
}

function markdown([head, ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head!), line(head!.map(() => '---')), ...rows.map(line)].join('\n')
}
