/** Traffic that a pipeline is given as time passes. */
import { NOON_US } from '../records.ts'
import type { Pipeline } from './harness.ts'
import type { traffic } from './traffic.ts'

/** Three minutes of load, a part of it up to a minute late. */
export const TRAFFIC = {
  requests: 300,
  series: 6,
  startUs: NOON_US,
  spanUs: 180e6,
  chunksMax: 60,
  lateShare: 0.05,
  lateUsMax: 60e6,
}

const TURN_MS = 500

/** Sends each record when it is due; `eachTurn` is given the turns' numbers, from 1. */
export async function send(
  pipeline: Pipeline,
  sent: ReturnType<typeof traffic>,
  eachTurn: (turn: number) => Promise<void> = async () => {},
): Promise<void> {
  for (let i = 0, turn = 1; i < sent.length; turn++) {
    await pipeline.pass(TURN_MS)
    await eachTurn(turn)
    const due: typeof sent = []
    while (i < sent.length && sent[i]!.sendUs <= pipeline.clock.nowMs() * 1000) due.push(sent[i++]!)
    await pipeline.produce(due.map(({ record }) => record))
    await pipeline.settle()
  }
}
