import type { Platform } from '../bus/platform.ts'
import type { Board } from './board.ts'
import { describeEvent, renderTable } from './table.ts'

/** Shows the board until it is closed. */
export interface Screen {
  close(): void
}

const REDRAW_MS = 1_000
const PLAIN_EVERY_MS = 10_000
const PLAIN_ROWS = 12
const CLEAR = '\u001b[2J\u001b[H'

/** On a terminal one table that is drawn anew each second; else a few plain lines every 10 s. */
export function openScreen(
  board: Board,
  { clock }: Platform,
  headline: string,
  isPlain: boolean,
): Screen {
  const started = clock.monotonicMs()
  const sinceMs = clock.nowMs()
  let told = 0

  function view(rowsMax: number) {
    const seconds = Math.round((clock.monotonicMs() - started) / 1000)
    return renderTable({
      headline: `${headline}   ${seconds} s`,
      nowMs: clock.nowMs(),
      sinceMs,
      aggregates: [...board.newest.values()],
      events: board.events,
      rowsMax,
    })
  }

  function plain(): void {
    const fresh = board.events.slice(told)
    told = board.events.length
    const rows = view(PLAIN_ROWS)
    const table = rows.slice(2, rows.indexOf('', 2))
    const lines = [...table, ...fresh.map((event) => `trigger: ${describeEvent(event)}`)]
    process.stdout.write(`${lines.join('\n')}\n\n`)
  }

  function draw(): void {
    const rowsMax = Math.max(3, (process.stdout.rows ?? 40) - 14)
    process.stdout.write(`${CLEAR}${view(rowsMax).join('\n')}\n\nCtrl-C drains and ends.\n`)
  }

  const timer = setInterval(isPlain ? plain : draw, isPlain ? PLAIN_EVERY_MS : REDRAW_MS)
  return { close: () => clearInterval(timer) }
}
