import type { ServerResponse } from 'node:http'
import { type ApiFault, faultBody } from './api-fault.ts'
import type { TruthRecord } from './truth.ts'

type Status = TruthRecord['status']

/** One request from its arrival to its one end, at which the truth about it is told. */
export interface Exchange {
  readonly res: ServerResponse
  /** What is true so far. */
  readonly truth: TruthRecord
  readonly ended: boolean
  /** Monotonic time since the request was received. */
  elapsedUs(): number
  /** Writes a frame with output and stamps it. */
  writeOutput(frame: string, tokens: number): void
  /** Answers with an error status. */
  refuse(fault: ApiFault): void
  /** Sends the rest and ends the response. */
  end(rest: string, status: Status, errorType?: string): void
  /** Closes the connection after what was written, so that the response stays incomplete. */
  cut(errorType?: string): void
  /** Called once, at the end of whatever kind. */
  onEnd(listener: () => void): void
}

/** Begins an exchange: the clock of its truth starts here. */
export function beginExchange(
  res: ServerResponse,
  identity: { readonly requestId: string; readonly tenant: string },
): Exchange {
  const receivedMs = performance.now()
  const truth = newTruth(identity.requestId, identity.tenant)
  const listeners: (() => void)[] = []
  let ended = false
  const elapsedUs = () => Math.round((performance.now() - receivedMs) * 1000)

  const settle = (status: Status, errorType: string) => {
    ended = true
    Object.assign(truth, { status, error_type: errorType, duration_us: elapsedUs() })
    for (const listener of listeners) listener()
  }
  res.on('close', () => {
    if (!ended) settle('cancelled', '')
  })

  return {
    res,
    truth,
    get ended() {
      return ended
    },
    elapsedUs,
    writeOutput(frame, tokens) {
      // Before the write: whoever reads the frame cannot have read it earlier than this.
      truth.chunks.push({ at_us: elapsedUs(), tokens })
      truth.output_tokens += tokens
      res.write(frame)
    },
    refuse(fault) {
      const body = JSON.stringify({ error: faultBody(fault) })
      res.writeHead(fault.status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(fault.status === 429 ? { 'retry-after': '1' } : {}),
        ...(fault.status === 413 ? { connection: 'close' } : {}),
      })
      settle('error', `http_${fault.status}`)
      res.end(body)
    },
    end(rest, status, errorType = '') {
      settle(status, errorType)
      res.end(rest)
    },
    cut(errorType = '') {
      settle('truncated', errorType)
      // destroySoon sends what is buffered first; destroy alone would take the chunks back.
      res.socket?.destroySoon()
    },
    onEnd(listener) {
      listeners.push(listener)
    },
  }
}

function newTruth(requestId: string, tenant: string): TruthRecord {
  return {
    request_id: requestId,
    tenant,
    model: '',
    streamed: false,
    started_at_us: Date.now() * 1000,
    status: 'error',
    error_type: '',
    finish_reason: '',
    chunks: [],
    input_tokens: 0,
    output_tokens: 0,
    duration_us: 0,
  }
}
