/**
 * Runs pieces of work one after the other. Once `isOver`, what is left does nothing, and what fails
 * fails in silence; an error before that goes to `onError`, whose part it is to end this.
 */
export function createOrder(
  isOver: () => boolean,
  onError: (error: unknown) => void,
): (work: () => Promise<void>) => Promise<void> {
  let tail: Promise<void> = Promise.resolve()
  return (work) => {
    tail = tail
      .then(() => (isOver() ? undefined : work()))
      .catch((error) => {
        if (!isOver()) onError(error)
      })
    return tail
  }
}
