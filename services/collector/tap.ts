import type { IncomingHttpHeaders } from 'node:http'
import { type Answer, type AnswerHead, createAnswer, formOf, isCompressed } from './answer.ts'
import type { Dialect } from './dialect/dialect.ts'
import type { AskedFor, Output } from './dialect/reader.ts'
import { lastRecord } from './last-record.ts'
import { createMeter, type RequestLabels } from './meter.ts'
import { NO_PHASES, phasesWith } from './phases.ts'
import type { Publish, Runs } from './runs.ts'
import type { TokenCounts } from './token-counts.ts'
import { type Close, verdictOf } from './verdict.ts'

/** Measures one request from what passes by. Nothing here throws, waits, or keeps content. */
export interface Tap {
  /** What the request asked for, when its body could be read. */
  readonly asked: (request: AskedFor) => void
  answered(head: AnswerHead): void
  read(bytes: Uint8Array, elapsedUs: number): void
  /** Headers or trailers that may tell of a guard or a draft model. */
  told(headers: IncomingHttpHeaders): void
  /** Something besides the server shaped the times: see RequestEnd.quality. */
  flag(quality: string): void
  /** The one end; later calls do nothing. */
  end(close: Close, elapsedUs: number, cause: string): void
}

/** Where a tap lives: shared by all requests of a proxy. */
export interface TapContext {
  /** Label of requests and answers that name none. */
  readonly model: string
  readonly runs: Runs
  readonly publish: Publish
  /** Counts the tokens of chunks that the server does not count, where somebody does. */
  readonly tokenCounts?: TokenCounts | null
  /** Counts what went wrong with the measuring, by reason. */
  readonly count: (reason: string) => void
}

/** A request that is sent now. */
export interface TapRequest {
  readonly dialect: Dialect
  readonly labels: RequestLabels
  /** Wall clock. */
  readonly startedAtUs: number
  /** Which send of the client's this is. */
  readonly attempt: number
}

/** Starts to measure a request. */
export function createTap(context: TapContext, request: TapRequest): Tap {
  const { dialect, labels, startedAtUs, attempt } = request
  const { runs, count, tokenCounts } = context
  const tokens = tokenCounts?.ofRequest(count)
  const publish = tokens?.publish ?? context.publish
  const meter = createMeter(labels, startedAtUs)
  const quality = new Set<string>(attempt > 1 ? ['retried'] : [])
  const parts = { dialect, onOutput, count, wantsTexts: tokens !== undefined }
  let answer: Answer = createAnswer('opaque', parts)
  let isStream = false
  let isOpaque = false
  let httpStatus: number | null = null
  let wantsStream = false
  let readUs = 0
  let phases = NO_PHASES
  let ended = false
  /** Reading has failed by a fault of ours: the rest of the answer passes unread. */
  let broken = false

  function onOutput({ chunks, tokens: counted, texts }: Output, facts: Answer['facts']): void {
    if (meter.chunks() === 0) meter.nameModel(facts().model || context.model)
    for (let i = 0; i < chunks; i++) {
      if (texts?.[i] !== undefined) tokens?.say(texts[i]!)
      if (meter.chunk(readUs, counted)) publish(meter.take()!)
    }
  }

  /** Trouble with the measuring must not become the user's. */
  function guarded(step: () => void): void {
    try {
      if (!broken) step()
    } catch {
      broken = true
      count('tap_failed')
    }
  }

  function publishEnd(close: Close, elapsedUs: number, cause: string): void {
    const facts = answer.facts()
    const { errorType, done } = facts
    const isPage = isOpaque && wantsStream
    const verdict = verdictOf({ close, cause, httpStatus, isStream, done, errorType, isPage })
    if (verdict.status === 'ok' && wantsStream && !isStream) quality.add('not_streamed')
    const said = { verdict, isStream, quality, phases, model: context.model }
    publish(lastRecord(meter, facts, { ...said, attempts: attempt, durationUs: elapsedUs }))
  }

  runs.add(meter, publish)
  return {
    asked(request) {
      wantsStream = request.stream
      meter.nameModel(request.model)
    },
    answered(head) {
      httpStatus = head.status
      const form = formOf(head)
      isStream = form === 'events' || form === 'lines'
      if (isCompressed(head.contentEncoding)) quality.add('encoded')
      else isOpaque = form === 'opaque'
      answer = createAnswer(form, parts)
    },
    read(bytes, elapsedUs) {
      readUs = elapsedUs
      guarded(() => answer.push(bytes))
    },
    told(headers) {
      phases = phasesWith(phases, headers)
    },
    flag: (flag) => void quality.add(flag),
    end(close, elapsedUs, cause) {
      if (ended) return
      ended = true
      runs.remove(meter)
      guarded(() => answer.end())
      broken = false
      guarded(() => publishEnd(close, elapsedUs, cause))
    },
  }
}
