import { setTimeout as delay } from 'node:timers/promises'

/** What is held in and outside of the heap; --expose-gc must be on. */
export async function liveBytes(): Promise<number> {
  globalThis.gc!()
  // Buffers outside the heap are let go of in the background.
  await delay(200)
  globalThis.gc!()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
