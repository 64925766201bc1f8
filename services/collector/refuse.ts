import type { ServerResponse } from 'node:http'

/** Answers in the place of the upstream, in the form that clients of the API know. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  if (response.headersSent || response.destroyed) return
  const body = JSON.stringify({ error: { message, type: 'llm_latency_lens', param: null, code } })
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}
