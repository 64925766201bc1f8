/** A request's place at a model: waiting first if need be, then running. */
export interface Seat {
  /** Gives the place up, whichever it was; later calls do nothing. */
  leave(): void
}

export interface Slots {
  readonly running: number
  readonly waiting: number
  /** Calls `start` when the request may run, perhaps at once; null when there is no room. */
  enter(start: () => void): Seat | null
}

/** First come, first served: at most `slotsMax` run and at most `waitingMax` wait. */
export function createSlots(slotsMax: number, waitingMax: number): Slots {
  let running = 0
  // A set keeps the order of arrival, and one that leaves early is taken out in constant time.
  const queue = new Set<() => void>()

  const startNext = () => {
    for (const begin of queue) {
      if (running >= slotsMax) return
      queue.delete(begin)
      begin()
    }
  }

  return {
    get running() {
      return running
    },
    get waiting() {
      return queue.size
    },
    enter(start) {
      if (running >= slotsMax && queue.size >= waitingMax) return null
      let place: 'waiting' | 'running' | 'left' = 'waiting'
      const begin = () => {
        place = 'running'
        running++
        start()
      }
      if (running < slotsMax) begin()
      else queue.add(begin)
      return {
        leave() {
          const left = place
          place = 'left'
          if (left === 'waiting') queue.delete(begin)
          if (left !== 'running') return
          running--
          startNext()
        },
      }
    },
  }
}
