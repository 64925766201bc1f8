import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { AGGREGATES_LIVE } from '../../../schemas/topics.ts'
import { systemClock } from '../../../services/bus/clock.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createMemoryBus, type MemoryBus } from '../../../services/bus/memory.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { createTopics } from '../../../services/bus/topics.ts'
import { aggregateResult } from '../../../services/core/windows/result.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import { type Board, startBoard } from '../../../services/standalone/board.ts'
import { NOON_MS } from '../../records.ts'

const SERIES_MAX = 10_000

describe('standalone/board', function () {
  this.timeout(20_000)
  let bus: MemoryBus
  let codec: Codec
  let board: Board
  beforeEach(async () => {
    codec = await createCodec(createFileRegistry(readSchemas()), () => 0)
    bus = createMemoryBus({ clock: systemClock, automatic: false, keepRecords: 10 })
    await createTopics(bus, { partitions: 1, replication: 1 })
    board = await startBoard({ bus, codec, clock: systemClock, log: () => {} }, 'board')
  })

  async function show(...aggregates: readonly Aggregate[]): Promise<void> {
    const sink = await bus.sink()
    const records = aggregates.map((value) => {
      return { key: null, value: codec.encode(AGGREGATES_LIVE, value) }
    })
    await sink.append(AGGREGATES_LIVE, 0, records)
    await bus.settle()
  }

  function aggregate(model: string, requests: number): Aggregate {
    const window = { startMs: NOON_MS, sizeMs: 60_000, final: false, revision: 0 }
    return aggregateResult({ ...window, series: { model } }, { ...createAggregate(), requests })
  }

  it('lets the bus forget what it has shown', async () => {
    for (let i = 0; i < 50; i++) await show(aggregate('m', i))
    const [range] = await bus.offsets(AGGREGATES_LIVE)
    expect(range!.end - range!.first).to.be.within(10, 20)
    expect([...board.newest.values()].map(({ requests }) => requests)).to.deep.equal([49])
  })

  it('holds ten thousand series, counts the others, and goes on with those it holds', async () => {
    const all = Array.from({ length: SERIES_MAX + 2 }, (_, i) => aggregate(`m${i}`, 1))
    await show(...all)
    expect([board.newest.size, board.refused()]).to.deep.equal([SERIES_MAX, 2])
    await show(aggregate('m7', 5))
    expect(board.newest.get('{"model":"m7"}')!.requests).to.equal(5)
    expect(board.refused()).to.equal(2)
  })
})
