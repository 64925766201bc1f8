/** What the rows of all partitions of one process may take in memory together. */
export interface LakeBudget {
  /** The share of a partition; what an earlier owner of it in this process held is let go of. */
  partition(name: string): PartitionMemory
  /** Other partitions come: nothing is held. */
  reset(): void
}

export interface PartitionMemory {
  take(bytes: number): void
  give(bytes: number): void
  /** Whether too much is held, and a range that holds so much of it has more than a fair share. */
  isShort(rangeBytes: number): boolean
}

/** Nothing is held. */
export function createLakeBudget(bytesMax: number): LakeBudget {
  let held = new Map<string, number>()
  let total = 0
  return {
    partition(name) {
      const own = held
      const add = (bytes: number) => {
        // It holds nothing any more for a member that has lost it.
        if (own !== held) return
        held.set(name, (held.get(name) ?? 0) + bytes)
        total += bytes
      }
      add(-(held.get(name) ?? 0))
      return {
        take: add,
        give: (bytes) => add(-bytes),
        isShort: (rangeBytes) => total > bytesMax && rangeBytes * held.size >= bytesMax,
      }
    },
    reset() {
      held = new Map()
      total = 0
    },
  }
}
