/**
 * Runs pieces of work one after the other. Once `isOver`, what is left does nothing. An error goes
 * to `onError`, and to the caller too unless it is over then.
 */
export function createOrder(
  isOver: () => boolean,
  onError: (error: unknown) => void,
): (work: () => Promise<void>) => Promise<void> {
  let tail: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = tail
      .then(() => (isOver() ? undefined : work()))
      .catch((error) => {
        if (!isOver()) onError(error)
        if (!isOver()) throw error
      })
    tail = next.catch(() => {})
    return next
  }
}
