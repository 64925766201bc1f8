import type { StageHealth } from '../bus/health.ts'
import type { CollectorStats } from './collector.ts'
import type { ScraperStats } from './scraper.ts'

/** Every record of the queue is sent, dropped for a reason, unknown, queued or in the spool. */
function countsOf({ queue, proxy, scrapers, ingest }: CollectorStats): Record<string, number> {
  const dropped = Object.entries(queue.dropped).map(([reason, n]) => [`dropped_${reason}`, n])
  const faults = Object.entries(proxy.faults).map(([reason, n]) => [`fault_${reason}`, n])
  const refused = Object.entries(proxy.refused).map(([what, n]) => [`refused_${what}`, n])
  const sum = (name: keyof ScraperStats) => scrapers.reduce((n, stats) => n + stats[name], 0)
  const pages = { scrape_failed: sum('failed'), refused_samples: sum('refused') }
  const { sent, unknown } = queue
  const { requests, measured } = proxy
  const { written: spooled = 0, replayed = 0, restored = 0, setAside = 0 } = queue.spool ?? {}
  const spool = { spooled, replayed, spool_restored: restored, spool_set_aside: setAside }
  const taken = { ingested: ingest?.accepted ?? 0 }
  const answers = Object.entries(ingest?.refused ?? {}).map(([code, n]) => [`ingest_${code}`, n])
  const named = Object.fromEntries([...dropped, ...faults, ...refused, ...answers])
  return { sent, unknown, requests, measured, ...spool, ...pages, ...taken, ...named }
}

const REPORT_MS = 5_000

/** Hands the collector's counts to its health every few seconds; returns what ends that. */
export function reportCollector(stats: () => CollectorStats, health: StageHealth): () => void {
  let told: Record<string, number> = {}
  function report(): void {
    const current = stats()
    const now = countsOf(current)
    for (const [name, value] of Object.entries(now)) health.count(name, value - (told[name] ?? 0))
    health.level('queued', current.queue.queued, 0)
    health.level('spool_records', current.queue.spool?.records ?? 0, 0)
    health.level('spool_bytes', current.queue.spool?.bytes ?? 0, 0)
    health.level('open_requests', current.proxy.open, 0)
    told = now
  }
  const timer = setInterval(report, REPORT_MS)
  return () => {
    clearInterval(timer)
    report()
  }
}
