import type { Pipeline } from './harness.ts'

/** Delivers what the bus holds until the work is done, without letting time pass. */
export async function driven<T>({ bus }: Pipeline, work: Promise<T>): Promise<T> {
  let isOver = false
  const ended = work.finally(() => {
    isOver = true
  })
  while (!isOver) {
    await bus.settle()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return ended
}
