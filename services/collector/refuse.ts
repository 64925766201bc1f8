import { type ServerResponse, STATUS_CODES } from 'node:http'

/** Answers in the place of the upstream, in the form that clients of the API know. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  if (response.headersSent || response.destroyed) return
  const body = JSON.stringify({ error: { message, type: 'llm_latency_lens', param: null, code } })
  // Named, because a head that could not be written has left its own name behind.
  response.writeHead(status, STATUS_CODES[status], {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}
