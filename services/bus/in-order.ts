/**
 * Runs pieces of work one after the other. Once `isOver`, what is left does nothing; an error
 * before that goes to `fail` and to the caller.
 */
export function createOrder(
  isOver: () => boolean,
  fail: (error: unknown) => void,
): (work: () => Promise<void>) => Promise<void> {
  let tail: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = tail
      .then(() => (isOver() ? undefined : work()))
      .catch((error) => {
        if (isOver()) return
        fail(error)
        throw error
      })
    tail = next.catch(() => {})
    return next
  }
}
