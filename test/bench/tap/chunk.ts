/** The chunks that the tap is measured with: OpenAI's form, their text is when each was sent. */

const HEAD =
  'data: {"id":"chatcmpl-6f1c2ad09be34d5f","object":"chat.completion.chunk","created":1795521600,' +
  '"model":"llama-3.3-70b-instruct","choices":[{"index":0,"delta":{"content":"'
const TAIL = '"},"logprobs":null,"finish_reason":null}]}\n\n'
const DIGITS = 16
const MARK = Buffer.from('"content":"')
const SIZE = (HEAD.length + DIGITS + TAIL.length).toString(16)

/** Microseconds of the clock that all processes of the machine share. */
export function nowUs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1e3
}

/** One event, in the framing of a chunked body. */
export function chunkSentAt(us: number): string {
  return `${SIZE}\r\n${HEAD}${Math.floor(us).toString().padStart(DIGITS, '0')}${TAIL}\r\n`
}

/** Finds the instants in bytes of any split. The bytes are not kept. */
export function createInstants(onSent: (us: number) => void): (bytes: Buffer) => void {
  const whole = MARK.length + DIGITS
  let rest = Buffer.alloc(0)
  return (read) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, read]) : read
    let from = 0
    for (;;) {
      const at = bytes.indexOf(MARK, from)
      if (at < 0 || at + whole > bytes.length) {
        // The mark may be cut; a whole event ends in a line feed and leaves nothing behind.
        const keep = at >= 0 ? at : Math.max(from, bytes.length - MARK.length + 1)
        rest = bytes.at(-1) === 10 ? rest.subarray(0, 0) : Buffer.from(bytes.subarray(keep))
        return
      }
      from = at + whole
      onSent(Number(bytes.toString('latin1', at + MARK.length, from)))
    }
  }
}
