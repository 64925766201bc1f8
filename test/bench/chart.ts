/** Horizontal bars on a logarithmic scale, as SVG: for figures that lie decades apart. */

export interface Bar {
  readonly label: string
  readonly value: number
  /** What is written behind the bar. */
  readonly text: string
  /** Where a target lies, and whether it is reached. */
  readonly target?: { readonly at: number; readonly isReached: boolean }
}

const WIDTH = 980
const LABEL_WIDTH = 480
const TEXT_WIDTH = 90
const ROW = 24
const TOP = 48
const COLORS = { plain: '#4c78a8', reached: '#54a24b', missed: '#e45756' }

/** A chart of bars that begin at the power of ten below the smallest value or target. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const all = bars.flatMap(({ value, target }) => (target ? [value, target.at] : [value]))
  const low = Math.floor(Math.log10(Math.min(...all)))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...all))))
  const x = (value: number) =>
    LABEL_WIDTH + ((Math.log10(value) - low) / (high - low)) * (WIDTH - LABEL_WIDTH - TEXT_WIDTH)
  const bottom = TOP + bars.length * ROW
  const grid = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).map(
    (value) =>
      `<line x1="${at(x(value))}" y1="${TOP - 6}" x2="${at(x(value))}" y2="${bottom}" stroke="#ccc"/>` +
      text(x(value), TOP - 10, 'middle', String(Number(value.toPrecision(1)))),
  )
  const rows = bars.map((bar, i) => rowOf(bar, TOP + i * ROW, x))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 12}" font-family="sans-serif" font-size="13" fill="#333">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/>
${text(12, 20, 'start', title, ' font-weight="bold"')}
${[...grid, ...rows].join('\n')}
</svg>
`
}

function rowOf({ label, value, text: words, target }: Bar, y: number, x: (v: number) => number) {
  const color = target ? COLORS[target.isReached ? 'reached' : 'missed'] : COLORS.plain
  const width = Math.max(1, x(value) - LABEL_WIDTH)
  const bar = `<rect x="${LABEL_WIDTH}" y="${y + 4}" width="${at(width)}" height="${ROW - 8}" fill="${color}"/>`
  const mark = target
    ? `<line x1="${at(x(target.at))}" y1="${y + 1}" x2="${at(x(target.at))}" y2="${y + ROW - 1}" stroke="#000" stroke-width="2"/>`
    : ''
  const end = Math.max(x(value), target ? x(target.at) : 0)
  const texts = [text(LABEL_WIDTH - 8, y + 16, 'end', label), text(end + 6, y + 16, 'start', words)]
  return `${bar}${mark}${texts.join('')}`
}

function text(x: number, y: number, anchor: string, words: string, more = ''): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${at(x)}" y="${y}" text-anchor="${anchor}"${more}>${safe}</text>`
}

function at(value: number): string {
  return value.toFixed(1)
}
