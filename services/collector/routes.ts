import http from 'node:http'
import https from 'node:https'

/** Calls whose path begins with `prefix` go to `upstream`, whose own path takes its place. */
export interface RouteRule {
  /** `/name` or `/name/other`; '' is every path. */
  readonly prefix: string
  readonly upstream: string
  /** Label of its records; '' is host:port of the upstream. */
  readonly endpoint: string
  /** Label; '' when it is not known. */
  readonly provider: string
}

/** A server that calls go to. */
export interface Route {
  readonly url: URL
  readonly endpoint: string
  readonly provider: string
  readonly agent: http.Agent
  /** The path to ask there for. */
  path(target: string): string
}

/** By the path alone: nothing in a header of the client's chooses a server. */
export interface Routes {
  of(target: string): Route
  /** Closes the connections that are kept. */
  close(): void
}

/** The longest prefix wins; one of the rules must have an empty one. */
export function createRoutes(rules: readonly RouteRule[], keepAliveMs: number): Routes {
  const longestFirst = rules.toSorted((a, b) => b.prefix.length - a.prefix.length)
  const routes = longestFirst.map((rule) => [rule.prefix, openRoute(rule, keepAliveMs)] as const)
  return {
    of: (target) => routes.find(([prefix]) => isUnder(target, prefix))![1],
    close() {
      for (const [, { agent }] of routes) agent.destroy()
    },
  }
}

function openRoute(
  { prefix, upstream, endpoint, provider }: RouteRule,
  keepAliveMs: number,
): Route {
  const url = new URL(upstream)
  const base = url.pathname.replace(/\/$/, '')
  return {
    url,
    endpoint: endpoint || endpointOf(url),
    provider,
    agent: openAgent(url, keepAliveMs),
    path(target) {
      const path = `${base}${target.slice(prefix.length)}`
      return path.startsWith('/') ? path : `/${path}`
    },
  }
}

function isUnder(target: string, prefix: string): boolean {
  if (prefix === '') return true
  return target.startsWith(prefix) && /^([/?]|$)/.test(target.slice(prefix.length))
}

/** host:port, with the port also where the URL leaves it out. */
export function endpointOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`
}

function openAgent(url: URL, keepAliveMs: number): http.Agent {
  // The newest idle connection is used first, and an old one closed before the upstream does so
  // itself, which would lose the request that is just being sent on it.
  const options = { keepAlive: true, timeout: keepAliveMs, scheduling: 'lifo' } as const
  return url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options)
}
