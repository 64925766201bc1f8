import { LensError } from '../../core/errors.ts'
import type { IcebergSchema, IcebergSpec } from './schema.ts'

/** What a table says of itself, as far as we look at it (Iceberg specification, table metadata). */
export interface TableMetadata {
  readonly 'table-uuid': string
  readonly location: string
  readonly 'last-updated-ms': number
  readonly 'last-sequence-number'?: number
  readonly 'current-schema-id': number
  readonly schemas: readonly (IcebergSchema & { readonly 'schema-id': number })[]
  readonly 'default-spec-id': number
  readonly 'partition-specs': readonly (IcebergSpec & { readonly 'spec-id': number })[]
  readonly 'current-snapshot-id'?: number | null
  readonly properties?: Readonly<Record<string, string>>
  readonly snapshots?: readonly Snapshot[]
}

export interface Snapshot {
  readonly 'snapshot-id': number
  readonly 'parent-snapshot-id'?: number
  readonly 'sequence-number': number
  readonly 'timestamp-ms': number
  readonly 'manifest-list': string
  readonly 'schema-id': number
  readonly summary: Readonly<Record<string, string>>
}

/** A change of a table: all of it or none, and only if the requirements hold. */
export interface TableCommit {
  readonly requirements: readonly object[]
  readonly updates: readonly object[]
}

/**
 * The tables of one namespace of an Iceberg REST catalog. All reject with LensError
 * store_unavailable.
 */
export interface IcebergCatalog {
  /** Null when there is no such table. */
  load(table: string): Promise<TableMetadata | null>
  /** Makes a table without columns, and the namespace when it is not there; or loads it. */
  create(table: string): Promise<TableMetadata>
  /** False when the requirements do not hold. */
  commit(table: string, commit: TableCommit): Promise<boolean>
}

export interface CatalogOptions {
  /** Such as http://127.0.0.1:8181. */
  readonly url: string
  readonly warehouse: string
  readonly namespace: string
  /** `ID:SECRET` for OAuth2, or a token; none when both are empty. */
  readonly credential: string
  readonly token: string
  /** Where tokens are given; empty for the catalog's own place. */
  readonly oauthUrl: string
  readonly oauthScope: string
  readonly now: () => number
}

const ANSWER_MAX_MS = 30_000
/** A token is asked for anew so long before it ends. */
const TOKEN_SPARE_MS = 60_000
const NOT_FOUND = 404
const CONFLICT = 409
/** The token is not taken any more; nor did it pass. */
const UNAUTHORIZED = new Set([401, 419])
const PASSING = new Set([408, 419, 429])

/** What a table is made with: its data files are the lake's, which no engine may purge. */
const PROPERTIES = { 'format-version': '2', 'gc.enabled': 'false' }

interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Connects when it is first asked. */
export function createRestCatalog(options: CatalogOptions): IcebergCatalog {
  const base = options.url.replace(/\/+$/, '').replace(/\/v1$/, '')
  const authorize = authorizer(options, base)
  let prefix: Promise<string> | null = null

  async function ask(method: string, path: string, body?: object): Promise<Answer> {
    const text = body === undefined ? null : JSON.stringify(body)
    for (let isAgain = false; ; isAgain = true) {
      const headers = { 'content-type': 'application/json', ...(await authorize(isAgain)) }
      const answer = await request(`${base}/v1/${path}`, { method, headers, body: text })
      if (isAgain || !UNAUTHORIZED.has(answer.status)) return answer
    }
  }

  /** Throws on any status but these and success. */
  async function need(method: string, path: string, body?: object, ...allowed: number[]) {
    const answer = await ask(method, path, body)
    if (answer.status < 300 || allowed.includes(answer.status)) return answer
    throw refused(`${base}/v1/${path}`, answer)
  }

  async function findPrefix(): Promise<string> {
    const query = new URLSearchParams({ warehouse: options.warehouse })
    const { body } = await need('GET', `config?${query}`)
    const { defaults, overrides } = body as Record<string, Record<string, string> | undefined>
    const found = overrides?.prefix ?? defaults?.prefix
    return found ? `${found}/` : ''
  }

  async function tables(): Promise<string> {
    prefix ??= findPrefix().catch((error) => {
      prefix = null
      throw error
    })
    return `${await prefix}namespaces/${encodeURIComponent(options.namespace)}/tables`
  }

  async function load(table: string): Promise<TableMetadata | null> {
    const answer = await need('GET', `${await tables()}/${table}`, undefined, NOT_FOUND)
    return answer.status === NOT_FOUND ? null : metadataOf(answer)
  }

  return {
    load,
    async create(table) {
      const at = await tables()
      const namespaces = at.slice(0, at.lastIndexOf('/', at.lastIndexOf('/') - 1))
      await need('POST', namespaces, { namespace: [options.namespace] }, CONFLICT)
      const schema = { type: 'struct', fields: [] }
      const made = { name: table, schema, properties: PROPERTIES }
      const answer = await need('POST', at, made, CONFLICT)
      if (answer.status !== CONFLICT) return metadataOf(answer)
      const there = await load(table)
      if (there === null) throw refused(`${base}/v1/${at}`, answer)
      return there
    },
    async commit(table, commit) {
      const identifier = { namespace: [options.namespace], name: table }
      const path = `${await tables()}/${table}`
      const { status } = await need('POST', path, { identifier, ...commit }, CONFLICT)
      return status !== CONFLICT
    },
  }
}

/** Gives the header by which the catalog knows us; `isRefused`: not the one that it had. */
function authorizer(options: CatalogOptions, base: string) {
  const { credential, token, oauthUrl, oauthScope, now } = options
  let own = { token, untilMs: token === '' ? 0 : Number.POSITIVE_INFINITY }
  return async (isRefused: boolean): Promise<Record<string, string>> => {
    if (credential !== '' && (isRefused || now() >= own.untilMs)) {
      const [id, secret] = credential.split(/:(.*)/s)
      const form = new URLSearchParams({
        ...{ grant_type: 'client_credentials', scope: oauthScope },
        ...{ client_id: id!, client_secret: secret ?? '' },
      })
      const url = oauthUrl || `${base}/v1/oauth/tokens`
      const answer = await request(url, { method: 'POST', headers: {}, body: form })
      if (answer.status >= 300) throw refused(url, answer)
      const { access_token, expires_in = 3600 } = answer.body as Grant
      own = { token: access_token, untilMs: now() + expires_in * 1000 - TOKEN_SPARE_MS }
    }
    return own.token === '' ? {} : { authorization: `Bearer ${own.token}` }
  }
}

interface Grant {
  readonly access_token: string
  readonly expires_in?: number
}

async function request(url: string, init: RequestInit): Promise<Answer> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_MAX_MS) })
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
  } catch (cause) {
    const message = `the Iceberg catalog at ${url} does not answer: ${(cause as Error).message}`
    throw new LensError('store_unavailable', message, { retryable: true, cause })
  }
}

function refused(url: string, { status, body }: Answer): LensError {
  const { error } = (typeof body === 'object' ? body : {}) as { error?: { message?: string } }
  const why = error?.message ?? (typeof body === 'string' ? body.slice(0, 200) : '')
  const message = `the Iceberg catalog answers ${status} to ${url}: ${why}`
  const retryable = status >= 500 || PASSING.has(status)
  return new LensError('store_unavailable', message, { retryable })
}

function metadataOf(answer: Answer): TableMetadata {
  const { metadata } = answer.body as { readonly metadata?: TableMetadata }
  if (metadata?.schemas) return metadata
  throw refused('a table: it is no Iceberg REST catalog', answer)
}
