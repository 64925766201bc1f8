import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { createRestCatalog } from '../../../services/lake/iceberg/catalog.ts'

const TABLE = { metadata: { schemas: [{ 'schema-id': 0, fields: [] }], 'table-uuid': 'u' } }

type Answer = readonly [status: number, body: unknown]

describe('lake/iceberg/catalog', () => {
  let server: Server
  let asked: string[]
  let answers: Record<string, Answer[]>

  beforeEach(async () => {
    asked = []
    answers = {}
    server = createServer(async (request, response) => {
      let body = ''
      for await (const part of request) body += part
      const { authorization = '-' } = request.headers
      const line = `${request.method} ${request.url}`
      asked.push(line.includes('oauth') ? `${line} ${body}` : `${line} ${authorization}`)
      const [status, answer] = answers[line]?.shift() ?? [404, {}]
      const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
      response.writeHead(status).end(text)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  })
  afterEach(() => server.close())

  function catalogOf(more: object = {}) {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const place = { url, warehouse: 'w', namespace: 'n', credential: 'me:secret', token: '' }
    return createRestCatalog({ ...place, oauthUrl: '', oauthScope: 's', now: () => 0, ...more })
  }

  it('asks where it is told, with a prefix as it is given, and for a token once', async () => {
    answers = {
      'POST /v1/oauth/tokens': [[200, { access_token: 't1', expires_in: 3600 }]],
      'GET /v1/config?warehouse=w': [[200, { overrides: { prefix: 'catalogs/unity' } }]],
      'GET /v1/catalogs/unity/namespaces/n/tables/a': [
        [404, {}],
        [200, TABLE],
      ],
    }
    const catalog = catalogOf()
    expect(await catalog.load('a')).to.equal(null)
    expect(await catalog.load('a')).to.deep.equal(TABLE.metadata)
    expect(asked).to.deep.equal([
      `POST /v1/oauth/tokens grant_type=client_credentials&scope=s&client_id=me&client_secret=secret`,
      'GET /v1/config?warehouse=w Bearer t1',
      'GET /v1/catalogs/unity/namespaces/n/tables/a Bearer t1',
      'GET /v1/catalogs/unity/namespaces/n/tables/a Bearer t1',
    ])
  })

  it('asks for another token when the one that it had is refused', async () => {
    answers = {
      'POST /oauth': [
        [200, { access_token: 't1' }],
        [200, { access_token: 't2' }],
      ],
      'GET /v1/config?warehouse=w': [[200, {}]],
      'GET /v1/namespaces/n/tables/a': [
        [401, {}],
        [200, TABLE],
      ],
    }
    const oauthUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/oauth`
    expect(await catalogOf({ oauthUrl }).load('a')).to.deep.equal(TABLE.metadata)
    expect(asked.at(-1)).to.equal('GET /v1/namespaces/n/tables/a Bearer t2')
  })

  it('says which refusals may pass, and what is no catalog', async () => {
    const refusals: [Answer, boolean, RegExp][] = [
      [[429, { error: { message: 'slow down' } }], true, /answers 429 to .*tables\/a: slow down$/],
      [[503, 'down'], true, /503 .*: down$/],
      [[403, {}], false, /403/],
      [[200, '<html>'], false, /it is no Iceberg REST catalog: <html>/],
    ]
    for (const [answer, retryable, message] of refusals) {
      answers = {
        'GET /v1/config?warehouse=w': [[200, {}]],
        'GET /v1/namespaces/n/tables/a': [answer],
      }
      const error = await catalogOf({ credential: '' })
        .load('a')
        .catch((why) => why)
      expect(error).to.deep.include({ code: 'store_unavailable', retryable })
      expect(error.message).to.match(message)
    }
  })

  it('tells a commit that was too late from one that cannot be', async () => {
    answers = {
      'GET /v1/config?warehouse=w': [[200, {}]],
      'POST /v1/namespaces/n/tables/a': [
        [200, TABLE],
        [409, {}],
        [400, { error: { message: 'no such update' } }],
      ],
    }
    const catalog = catalogOf({ credential: '', token: 'mine' })
    const commit = { requirements: [], updates: [] }
    expect(await catalog.commit('a', commit)).to.equal(true)
    expect(await catalog.commit('a', commit)).to.equal(false)
    const refused = await catalog.commit('a', commit).catch((error) => error)
    expect(refused.message).to.contain('no such update')
    expect(asked.at(-1)).to.contain('Bearer mine')
  })
})
