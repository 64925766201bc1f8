import { logLine, runMain } from '../bus/service.ts'
import { startBoard } from './board.ts'
import { standaloneOptions, usage } from './config.ts'
import { startLoad } from './load.ts'
import { startPipeline } from './pipeline.ts'
import { openScreen } from './screen.ts'
import { openUpstream } from './source.ts'
import { startupLines, summaryLines } from './words.ts'

const TENANTS = ['team-a', 'team-b', 'team-c']
const CONCURRENCY_MAX = 256

const say = (lines: readonly string[]) => process.stdout.write(`${lines.join('\n')}\n`)

await runMain({
  name: 'standalone',
  usage,
  options: standaloneOptions,
  makesTopics: true,
  // Lines between two pictures of the table would only flicker.
  log: process.stdout.isTTY ? () => {} : logLine,
  async start(config, platform, _health, end) {
    const upstream = await openUpstream(config)
    const pipeline = await startPipeline(config, platform, upstream, end)
    const board = await startBoard(platform, `lens-board-${process.pid}-${Date.now()}`)
    const { url } = pipeline.collector
    const { rate: ratePerSecond, seed } = config
    const isLoaded = upstream.models.length > 0 && ratePerSecond > 0
    const load = isLoaded
      ? startLoad({
          url,
          models: upstream.models,
          tenants: TENANTS,
          ratePerSecond,
          seed,
          concurrencyMax: CONCURRENCY_MAX,
        })
      : null
    say(startupLines({ config, upstream, tap: url, lake: pipeline.lake, isLoaded }))
    const isPlain = config.plain || !process.stdout.isTTY
    const screen = openScreen(board, platform, `LLM-Latency-Lens   tap ${url}`, isPlain)
    const timer = config.duration > 0 ? setTimeout(() => end(null), config.duration) : undefined
    return {
      async stop() {
        clearTimeout(timer)
        screen.close()
        say(['', 'draining: load, tap, windowing, statistics, triggers, exporter ...'])
        const sent = await load?.stop()
        await pipeline.drain()
        await board.stop()
        await upstream.stop()
        say(
          summaryLines({
            config,
            board,
            sent,
            stats: pipeline.collector.stats(),
            lake: pipeline.lake,
          }),
        )
      },
    }
  },
})
