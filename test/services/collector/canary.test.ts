/** What a user writes and what a server answers goes nowhere but through (X2 of the research). */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { loadConfig } from '../../../services/bus/config.ts'
import { createHealth } from '../../../services/bus/health.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { startCollector } from '../../../services/collector/collector.ts'
import { collectorConfig } from '../../../services/collector/config.ts'
import { DIALECTS } from '../../../services/collector/dialect/table.ts'
import { reportCollector } from '../../../services/collector/report.ts'
import { createFaultyLog } from './faulty-sink.ts'
import { chat, DONE, frame } from './frames.ts'
import { call, until } from './proxy-fixture.ts'
import { folderOf } from './spool-fixture.ts'
import { type Answering, startUpstream } from './upstream.ts'

const CANARY = 'Kanari7x Q9/mZ+4pß'
const SSE = { 'content-type': 'text/event-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** The forms in which it could have been kept; its first eight characters stand for the rest. */
function formsOf(text: string): readonly Buffer[] {
  const bytes = Buffer.from(text)
  const begin = text.slice(0, 8)
  // In base64 the same bytes look different at each of three places.
  const base64 = [0, 1, 2].map((shift) => {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64')
    return shifted.slice(Math.ceil((shift * 8) / 6), -4)
  })
  const forms = [
    ...[begin, begin.toLowerCase(), encodeURIComponent(text), text.replaceAll(' ', '+')],
    ...[bytes.toString('hex'), bytes.toString('hex').toUpperCase()],
    ...base64,
    ...base64.map((one) => one.replaceAll('+', '-').replaceAll('/', '_')),
    JSON.stringify(text).slice(1, -1),
  ]
  return [...forms.map((form) => Buffer.from(form)), Buffer.from(begin, 'utf16le')]
}

/** Answers in which the canary stands wherever a server could put it. */
const ANSWERS: Readonly<Record<string, Answering>> = {
  'in the text, the reasoning and the tool': (response) => {
    const tool = { index: 0, id: CANARY, function: { name: CANARY, arguments: CANARY } }
    const deltas = [{ content: CANARY }, { reasoning: CANARY }, { tool_calls: [tool] }]
    const more = { id: CANARY, system_fingerprint: CANARY, odd: { deep: [CANARY] } }
    const events = deltas.map((delta) => frame(chat(delta, more)))
    response.writeHead(200, { ...SSE, 'x-canary': encodeURIComponent(CANARY) })
    response.end(`: ${CANARY}\n\nid: ${CANARY}\n${events.join('')}event: ${CANARY}\n${DONE}`)
  },
  'as reason, model and error': (response) => {
    const choices = [{ index: 0, delta: {}, finish_reason: CANARY }]
    const error = { message: CANARY, type: CANARY, code: CANARY, param: CANARY }
    response.writeHead(200, SSE).end(frame({ choices }) + frame({ error }))
  },
  'as an error that is a text': (response) => {
    response.writeHead(200, SSE).end(`data: {"error":"${CANARY}"}\n\n`)
  },
  'in what is no JSON': (response) => {
    response
      .writeHead(200, SSE)
      .end(`data: ${CANARY}\n\ndata: {"a":"${CANARY}\n\nevent: error\ndata: ${CANARY}`)
  },
  'in a page': (response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end(CANARY),
  'in an error status': (response) => {
    response.writeHead(500, encodeURIComponent(CANARY), JSON_TYPE)
    response.end(JSON.stringify({ error: { message: CANARY, type: CANARY } }))
  },
  'in a whole answer': (response) => {
    const message = { role: 'assistant', content: CANARY }
    response
      .writeHead(200, JSON_TYPE)
      .end(JSON.stringify({ choices: [{ message, finish_reason: CANARY }] }))
  },
  'in an answer that breaks': (response) => {
    response.writeHead(200, SSE).write(frame(chat({ content: CANARY })))
    response.write(`data: {"choices":[{"delta":{"content":"${CANARY}`)
    setTimeout(() => response.destroy(), 20)
  },
}

describe('collector, canaries', () => {
  it('finds a canary in each of the forms', () => {
    for (const form of formsOf(CANARY)) expect(form.length, String(form)).greaterThan(7)
    expect(Buffer.from(`x${CANARY}`).toString('base64')).contain(String(formsOf(CANARY)[7]))
  })

  for (const [where, answer] of Object.entries(ANSWERS)) {
    it(`keeps nothing of what is ${where}`, async () => {
      const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)
      const upstream = await startUpstream(answer)
      // Nothing is sent: what there is must go to the disk.
      let away = true
      const log = createFaultyLog(() => (away ? 'unavailable' : 'ok'))
      const folder = folderOf()
      const kept: string[] = []
      const argv = ['--port', '0', '--flush-every', '5ms', '--spool', folder]
      const more = [
        '--upstream',
        upstream.url,
        '--queue-records-max',
        '4',
        '--send-deadline',
        '50ms',
      ]
      const collector = await startCollector({
        config: loadConfig(collectorConfig, { env: {}, argv: [...argv, ...more] }),
        sink: log.open,
        codec,
        partitions: { 'lens.token-events': 1 },
        log: (line) => void kept.push(line),
      })
      const count = (name: string) => void kept.push(name)
      const endReport = reportCollector(collector.stats, { ...createHealth('test'), count })
      const body = JSON.stringify({ model: 'm', stream: true, prompt: CANARY, messages: [CANARY] })
      const paths = [
        '/v1/chat/completions',
        '/v1/messages',
        '/v1/responses',
        '/api/chat',
        '/generate',
      ]
      for (const path of [...paths, '/completion', '/generate_stream', '/inference/v1/generate']) {
        const headers = {
          authorization: `Bearer ${encodeURIComponent(CANARY)}`,
          cookie: 'a=Kanari7x',
        }
        await call(collector.url, `${path}?key=${encodeURIComponent(CANARY)}`, { body, headers })
          .reply
      }
      await call(collector.url, '/v1/chat/completions', { body: `{"${CANARY}` }).reply
      await until(() => collector.stats().proxy.open === 0)
      await until(() => (collector.stats().queue.spool?.records ?? 0) > 0)
      for (const name of readdirSync(folder)) kept.push(readFileSync(join(folder, name), 'latin1'))
      away = false
      await collector.stop()
      endReport()
      await upstream.close()
      const values = log.appends.flatMap(({ records }) => records)
      expect(values.length).greaterThan(DIALECTS.length)
      for (const { key, value } of values)
        kept.push(String(key), Buffer.from(value).toString('latin1'))
      const all = Buffer.from(kept.join('\n'), 'latin1')
      expect(upstream.seen[0]!.body.includes(CANARY), 'the call itself').equal(true)
      for (const form of formsOf(CANARY)) expect(all.includes(form), String(form)).equal(false)
    })
  }
})
