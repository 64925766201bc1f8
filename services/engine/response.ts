import { engineFailed, faultBody } from './api-fault.ts'
import type { Exchange } from './exchange.ts'
import { type Plan, plannedDurationUs, plannedTokens } from './plan.ts'
import type { CompletionRequest } from './request.ts'
import * as sse from './sse.ts'
import { tokenText } from './words.ts'

/** Streams a plan from now on; the end of the exchange, of whatever kind, stops it. */
export function streamPlan(
  exchange: Exchange,
  envelope: sse.Envelope,
  request: CompletionRequest,
  plan: Plan,
): void {
  const { res, truth } = exchange
  const gapUs = (index: number) => plan.chunks[index]?.gapUs ?? plan.endGapUs
  let sent = 0
  // Each due time comes from the one before, not from the clock, so that late timers do not add up.
  let dueUs = exchange.elapsedUs() + gapUs(sent)

  res.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  })
  if (envelope.kind === 'chat') res.write(sse.roleFrame(envelope, usageSoFar(exchange, request)))
  else res.flushHeaders()
  runTimer(exchange, dueUs, () => {
    const nowUs = exchange.elapsedUs()
    while (dueUs <= nowUs) {
      const chunk = plan.chunks[sent]
      if (chunk === undefined) {
        endStream(exchange, envelope, request, plan)
        return null
      }
      const text = tokenText(truth.output_tokens, chunk.tokens)
      const usage = usageSoFar(exchange, request, chunk.tokens)
      exchange.writeOutput(sse.textFrame(envelope, text, usage), chunk.tokens)
      sent++
      dueUs += gapUs(sent)
    }
    return dueUs
  })
}

/** Answers in one piece, when the stream of the same plan would have ended. */
export function answerPlan(
  exchange: Exchange,
  envelope: sse.Envelope,
  request: CompletionRequest,
  plan: Plan,
): void {
  const { res, truth } = exchange
  runTimer(exchange, exchange.elapsedUs() + plannedDurationUs(plan), () => {
    if (plan.fate.kind === 'truncated') exchange.cut()
    else if (plan.fate.kind !== 'ok') exchange.refuse(engineFailed)
    else {
      const tokens = plannedTokens(plan)
      const usage = sse.usageOf(request.inputTokens, tokens)
      truth.finish_reason = plan.fate.finishReason
      const body = sse.wholeBody(envelope, tokenText(0, tokens), truth.finish_reason, usage)
      res.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      })
      exchange.writeOutput(body, tokens)
      exchange.end('', 'ok')
    }
    return null
  })
}

function endStream(
  exchange: Exchange,
  envelope: sse.Envelope,
  request: CompletionRequest,
  { fate }: Plan,
): void {
  const { truth } = exchange
  if (fate.kind === 'truncated') exchange.cut()
  else if (fate.kind === 'ok') {
    truth.finish_reason = fate.finishReason
    const finish = sse.finishFrame(envelope, fate.finishReason, usageSoFar(exchange, request))
    const usage = sse.usageOf(truth.input_tokens, truth.output_tokens)
    const last = request.includeUsage ? sse.usageFrame(envelope, usage) : ''
    exchange.end(`${finish}${last}${sse.DONE_FRAME}`, 'ok')
  } else {
    // vLLM and SGLang end a failed stream with [DONE] all the same, which is what makes a failure
    // inside a 200 easy to miss; so do we.
    const error = sse.errorFrame({ ...faultBody(engineFailed), code: engineFailed.status })
    exchange.end(`${error}${sse.DONE_FRAME}`, 'error', engineFailed.type)
  }
}

function usageSoFar(
  { truth }: Exchange,
  request: CompletionRequest,
  tokensInFrame = 0,
): sse.FrameUsage {
  if (request.continuousUsage) {
    return sse.usageOf(truth.input_tokens, truth.output_tokens + tokensInFrame)
  }
  return request.includeUsage ? null : undefined
}

/** Calls `step` when the time on the exchange's clock has come; it returns the next, or null. */
function runTimer(exchange: Exchange, firstDueUs: number, step: () => number | null): void {
  let timer: NodeJS.Timeout
  const arm = (dueUs: number) => {
    const waitMs = Math.max(1, Math.floor((dueUs - exchange.elapsedUs()) / 1000))
    timer = setTimeout(() => {
      // Whole milliseconds, rounded down, end too early as often as not; then it is armed again.
      const nextUs = exchange.elapsedUs() < dueUs ? dueUs : step()
      if (nextUs !== null) arm(nextUs)
    }, waitMs)
  }
  exchange.onEnd(() => clearTimeout(timer))
  arm(firstDueUs)
}
