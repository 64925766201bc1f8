import { expect } from 'chai'
import type { TokenEvents } from '../../../schemas/records.ts'
import { loadConfig } from '../../../services/bus/config.ts'
import { collectorConfig } from '../../../services/collector/config.ts'
import { startProxy } from '../../../services/collector/proxy.ts'
import { createRoutes } from '../../../services/collector/routes.ts'
import { proxyOptions } from './proxy-fixture.ts'
import { rawExchange, startUpstream, type TestUpstream } from './upstream.ts'

const RULES = [
  { prefix: '', upstream: 'http://main:8000/base/', endpoint: 'pool-a', provider: 'vllm' },
  { prefix: '/a', upstream: 'https://one.example', endpoint: '', provider: '' },
  { prefix: '/a/b', upstream: 'http://[::1]:9000/deep', endpoint: '', provider: '' },
]

/** What a client may ask for in the hope of another server: `{port}` is that of one that listens. */
const TARGETS = [
  'http://127.0.0.1:{port}/v1/models',
  'HTTP://127.0.0.1:{port}/',
  'https://127.0.0.1:{port}/',
  'ftp://127.0.0.1:{port}/',
  'file:///etc/passwd',
  '//127.0.0.1:{port}/',
  '///127.0.0.1:{port}/',
  '/\\127.0.0.1:{port}/',
  '\\\\127.0.0.1:{port}/',
  '/\\/127.0.0.1:{port}/',
  '/@127.0.0.1:{port}/',
  '@127.0.0.1:{port}/',
  ':{port}/',
  '/:{port}/',
  '.127.0.0.1:{port}/',
  '/a@127.0.0.1:{port}/',
  '/a:{port}/',
  '/a/@127.0.0.1:{port}/',
  '/a//127.0.0.1:{port}/',
  '/a/http://127.0.0.1:{port}/',
  '/a/../http://127.0.0.1:{port}/',
  '/a/..;/127.0.0.1:{port}/',
  '/a%2f..%2f127.0.0.1:{port}/',
  '/%2f127.0.0.1:{port}/',
  '/%5c127.0.0.1:{port}/',
  '/?url=http://127.0.0.1:{port}/',
  '/?@127.0.0.1:{port}/',
  '/a?@127.0.0.1:{port}/',
  '/;@127.0.0.1:{port}/',
  '/#@127.0.0.1:{port}/',
  '/.@127.0.0.1:{port}/',
  '//2130706433:{port}/',
  '//0x7f000001:{port}/',
  '//0177.0.0.1:{port}/',
  '//127.1:{port}/',
  '//[::1]:{port}/',
  '//[::ffff:127.0.0.1]:{port}/',
  '//localhost:{port}/',
  '//user:pass@127.0.0.1:{port}/',
  '//127.0.0.1:{port}#@a/',
  '//127.0.0.1:{port}%23/',
  '*',
  '127.0.0.1:{port}',
]

/** Headers by which other proxies let themselves be steered. */
const HEADERS = [
  'Host: 127.0.0.1:{port}',
  'X-Forwarded-Host: 127.0.0.1:{port}',
  'Forwarded: host=127.0.0.1:{port}',
  'X-Original-URL: http://127.0.0.1:{port}/',
  'X-Rewrite-URL: http://127.0.0.1:{port}/',
  'X-Base-Url: http://127.0.0.1:{port}/',
  'api-base: http://127.0.0.1:{port}/',
  'X-Lens-Upstream: http://127.0.0.1:{port}/',
]

describe('collector/routes', () => {
  it('takes the longest prefix that ends where a part of the path does', () => {
    const routes = createRoutes(RULES, 4000)
    const went = (target: string) => {
      const route = routes.of(target)
      return `${route.endpoint} ${route.path(target)}`
    }
    expect(went('/v1/models?x=1')).equal('pool-a /base/v1/models?x=1')
    expect(went('/')).equal('pool-a /base/')
    expect(went('/a')).equal('one.example:443 /')
    expect(went('/a?x')).equal('one.example:443 /?x')
    expect(went('/a/v1/messages')).equal('one.example:443 /v1/messages')
    expect(went('/ab')).equal('pool-a /base/ab')
    expect(went('/a/bc')).equal('one.example:443 /bc')
    expect(went('/a/b/c')).equal('[::1]:9000 /deep/c')
    expect(went('/A/v1')).equal('pool-a /base/A/v1')
    routes.close()
  })

  it('is told where to send calls by --route', () => {
    const routes = (route: string) =>
      loadConfig(collectorConfig, { env: {}, argv: ['--route', route] }).route
    const rest = { endpoint: '', provider: '' }
    expect(routes('/a=https://one.example, /b/c=http://x:1/y?z=1')).deep.equal([
      { prefix: '/a', upstream: 'https://one.example', ...rest },
      { prefix: '/b/c', upstream: 'http://x:1/y?z=1', ...rest },
    ])
    expect(routes('')).deep.equal([])
    for (const bad of [
      'a=http://x',
      '/=http://x',
      '/a/=http://x',
      '/a',
      '/a=ftp://x',
      '/a=http://u:p@x',
    ]) {
      expect(() => routes(bad), bad).throw(/--route/)
    }
    expect(() => routes('/a=http://x,/a=http://y')).throw(/names a path twice/)
    const times = (...argv: string[]) => loadConfig(collectorConfig, { env: {}, argv })
    expect(times('--head-timeout', '5m', '--client-keep-alive', '10m')).include({
      headTimeout: 300_000,
      clientKeepAlive: 600_000,
    })
    for (const bad of ['--head-timeout=0s', '--head-timeout=6m', '--client-keep-alive=0s']) {
      expect(() => times(bad), bad).throw(/must be more than 0s/)
    }
  })

  describe('before two servers, and beside a third', () => {
    const servers: TestUpstream[] = []
    const records: TokenEvents[] = []
    let url: string
    let stop: () => Promise<void>

    before(async () => {
      for (const name of ['main', 'a', 'other']) {
        servers.push(
          await startUpstream((response) => {
            response.writeHead(302, { location: servers[2]!.url }).end(name)
          }),
        )
      }
      const [main, a] = servers as [TestUpstream, TestUpstream]
      const proxy = await startProxy(
        proxyOptions({
          publish: (record) => void records.push(record),
          routes: [
            { prefix: '', upstream: main.url, endpoint: 'pool-a', provider: 'vllm' },
            { prefix: '/a', upstream: a.url, endpoint: '', provider: '' },
          ],
        }),
      )
      url = proxy.url
      stop = () => proxy.stop(0)
    })
    after(async () => {
      await stop()
      for (const server of servers) await server.close()
    })

    it('asks the server of the path, and hands a redirect on', async () => {
      for (const [target, name, path] of [
        ['/x', 'main', '/x'],
        ['/a/x', 'a', '/x'],
      ] as const) {
        const head = `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
        const answer = await rawExchange(url, head)
        expect(answer)
          .match(/^HTTP\/1\.1 302 /)
          .and.match(new RegExp(`${name}\\b`))
        const { url: asked, headers } = servers[name === 'a' ? 1 : 0]!.seen.at(-1)!
        expect(asked).equal(path)
        expect(headers.host).equal(new URL(servers[name === 'a' ? 1 : 0]!.url).host)
      }
    })

    it('gives records the labels of their own server', async () => {
      for (const path of ['/v1/completions', '/a/v1/completions']) {
        const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n`
        await rawExchange(url, `${head}Connection: close\r\n\r\n{}`)
      }
      const labels = records.map(({ endpoint, provider }) => [endpoint, provider])
      const { host } = new URL(servers[1]!.url)
      expect(labels).deep.equal([
        ['pool-a', 'vllm'],
        [host, ''],
      ])
    })

    it('goes to no third one, whatever is asked for', async () => {
      const port = new URL(servers[2]!.url).port
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        for (const target of TARGETS) {
          const line = `${method} ${target.replace('{port}', port)} HTTP/1.1`
          const rest = 'Host: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
          const answer = await rawExchange(url, `${line}\r\n${rest}`)
          expect(answer, line).match(/^HTTP\/1\.1 (302|400|502) /)
        }
      }
      for (const header of HEADERS) {
        const lines = ['GET /a/x HTTP/1.1', 'Connection: close', header.replace('{port}', port)]
        if (!header.startsWith('Host')) lines.push('Host: x')
        expect(await rawExchange(url, `${lines.join('\r\n')}\r\n\r\n`)).match(/^HTTP\/1\.1 302 /)
      }
      const connect = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\n`
      expect(await rawExchange(url, connect)).not.match(/^HTTP\/1\.1 2/)
      expect(servers[2]!.connections()).equal(0)
      expect(TARGETS.length).above(40)
    })
  })
})
