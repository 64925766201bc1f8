import { expect } from 'chai'
import { type Evidence, verdictOf } from '../../../services/collector/verdict.ts'

const STREAM: Evidence = {
  close: 'complete',
  cause: '',
  httpStatus: 200,
  isStream: true,
  isPage: false,
  done: true,
  errorType: '',
}

describe('collector/verdict', () => {
  const cases: readonly [string, Partial<Evidence>, string, string][] = [
    ['a whole stream', {}, 'ok', ''],
    ['a whole answer that is no stream', { isStream: false, done: false }, 'ok', ''],
    [
      'a page in place of a stream',
      { isStream: false, isPage: true, done: false },
      'error',
      'not_a_stream',
    ],
    ['no end marker', { done: false }, 'truncated', ''],
    ['a torn stream', { done: false, close: 'cut' }, 'truncated', ''],
    [
      'silence inside a stream',
      { done: false, close: 'cut', cause: 'timeout' },
      'truncated',
      'timeout',
    ],
    ['a torn answer', { isStream: false, done: false, close: 'cut' }, 'truncated', ''],
    ['a tear after the end marker', { close: 'cut' }, 'ok', ''],
    ['a client that went away', { done: false, close: 'cancelled' }, 'cancelled', ''],
    ['a client that went away at the end marker', { close: 'cancelled' }, 'ok', ''],
    ['an error inside', { errorType: 'x' }, 'error', 'x'],
    ['an error inside, then no client', { errorType: 'x', close: 'cancelled' }, 'error', 'x'],
    ['an error status', { httpStatus: 500, isStream: false, done: false }, 'error', 'http_500'],
    ['a redirect', { httpStatus: 307, isStream: false, done: false }, 'error', 'http_307'],
    ['no answer', { httpStatus: null, close: 'failed', cause: 'timeout' }, 'error', 'timeout'],
  ]
  for (const [title, more, status, errorType] of cases) {
    it(`${title} is ${status} ${errorType}`, () => {
      expect(verdictOf({ ...STREAM, ...more })).to.deep.equal({ status, errorType })
    })
  }
})
