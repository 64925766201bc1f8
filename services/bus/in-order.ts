/**
 * Runs pieces of work one after the other. Once `isOver`, what is left does nothing, and what fails
 * fails in silence; an error before that goes to `onError`, whose part it is to end this. With a
 * `turn`, each but the first waits for it: batches of one fetch come at once, and what is sent for
 * one partition need not wait for the work of the next.
 */
export function createOrder(
  isOver: () => boolean,
  onError: (error: unknown) => void,
  turn?: () => Promise<void>,
): (work: () => Promise<void>) => Promise<void> {
  let tail: Promise<void> | null = null
  return (work) => {
    tail = (tail?.then(turn) ?? Promise.resolve())
      .then(() => (isOver() ? undefined : work()))
      .catch((error) => {
        if (!isOver()) onError(error)
      })
    return tail
  }
}
