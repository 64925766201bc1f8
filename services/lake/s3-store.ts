import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import { LensError } from '../core/errors.ts'
import type { ObjectStore } from './store.ts'

export interface S3StoreOptions {
  readonly bucket: string
  /** Before every path; empty for none. */
  readonly prefix: string
  /** The AWS_* variables; what is not in them comes from the SDK's own chain. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** How long a request may take. */
  readonly requestMs?: number
}

// A few only: the caller repeats a retryable failure, and keeps its group membership meanwhile.
const ATTEMPTS = 3
const CONNECT_MS = 5000
const REQUEST_MS_MAX = 30_000
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  parquet: 'application/vnd.apache.parquet',
  arrows: 'application/vnd.apache.arrow.stream',
  json: 'application/json',
}

/** A lake in an S3 bucket, or in one of another maker behind AWS_ENDPOINT_URL_S3. */
export function createS3Store({ bucket, prefix, env, requestMs }: S3StoreOptions): ObjectStore {
  const client = new S3Client(clientConfig(env, requestMs ?? REQUEST_MS_MAX))
  const encryption = encryptionOf(env)
  const before = prefix === '' ? '' : `${prefix}/`
  // A store that has taken something is set up: what it refuses after that may pass.
  let hasTaken = false

  /** Null for what the store answers with this status. */
  async function asked<T>(verb: string, path: string, is: number, ask: () => Promise<T>) {
    try {
      return await ask()
    } catch (error) {
      if (isStatus(error, is)) return null
      throw storeError(verb, `s3://${bucket}/${before}${path}`, error, hasTaken)
    }
  }

  async function get(path: string): Promise<Uint8Array | null> {
    return asked('get', path, NOT_FOUND, async () => {
      const key = { Bucket: bucket, Key: before + path }
      const { Body } = await client.send(new GetObjectCommand(key))
      return readWithin(requestMs ?? REQUEST_MS_MAX, Body as Readable)
    })
  }

  return {
    describe: `s3://${bucket}/${prefix}`,
    async create(path, bytes) {
      const command = new PutObjectCommand({
        ...{ Bucket: bucket, Key: before + path, Body: bytes, ContentLength: bytes.length },
        ...{ ContentType: contentType(path), IfNoneMatch: '*', ...encryption },
      })
      const put = await asked('put', path, EXISTS, async () => {
        const { ETag } = await client.send(command)
        // Stores have answered 200 with an error behind it.
        if (!ETag) throw new Error('the answer has no ETag')
      })
      hasTaken = true
      if (put === undefined) return null
      const there = await get(path)
      if (there === null) throw storeError('put', path, new Error('it was removed just now'), true)
      return Buffer.from(there).equals(bytes) ? null : there
    },
    get,
    async *list(below) {
      const where = { Bucket: bucket, Prefix: before + below }
      for (let token: string | undefined, isFirst = true; isFirst || token; isFirst = false) {
        const page = new ListObjectsV2Command({ ...where, ContinuationToken: token })
        const found = await asked('list', below, NEVER, () => client.send(page))
        for (const { Key, Size } of found!.Contents ?? []) {
          yield { path: Key!.slice(before.length), bytes: Size! }
        }
        token = found!.NextContinuationToken
      }
    },
    async remove(path) {
      const key = { Bucket: bucket, Key: before + path }
      await asked('remove', path, NOT_FOUND, () => client.send(new DeleteObjectCommand(key)))
    },
  }
}

/** The client's own limit ends with the head of an answer. */
async function readWithin(ms: number, body: Readable): Promise<Uint8Array> {
  const late = () => body.destroy(new Error(`no end of the object in ${ms} ms`))
  const timer = setTimeout(late, ms)
  try {
    return await buffer(body)
  } finally {
    clearTimeout(timer)
  }
}

const NOT_FOUND = 404
const EXISTS = 412
const NEVER = 0

/** A bucket that is not there is no object that is not there. */
function isStatus(error: unknown, status: number): boolean {
  const { name, $metadata } = error as ServiceFault
  return $metadata?.httpStatusCode === status && name !== 'NoSuchBucket'
}

function contentType(path: string): string {
  return CONTENT_TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
}

/** How the store is to encrypt what it is given; by its own default when nothing is said. */
function encryptionOf(env: S3StoreOptions['env']): Partial<PutObjectCommandInput> {
  const algorithm = env.LAKE_S3_ENCRYPTION
  const key = env.LAKE_S3_KMS_KEY_ID
  if (!algorithm) {
    if (!key) return {}
    throw new LensError('configuration_invalid', 'LAKE_S3_KMS_KEY_ID needs LAKE_S3_ENCRYPTION')
  }
  const known = ENCRYPTIONS.find((one) => one === algorithm)
  if (!known) {
    const message = `LAKE_S3_ENCRYPTION ${JSON.stringify(algorithm)}: one of ${ENCRYPTIONS.join(', ')}`
    throw new LensError('configuration_invalid', message)
  }
  return { ServerSideEncryption: known, ...(key && { SSEKMSKeyId: key }) }
}

const ENCRYPTIONS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const

function clientConfig(env: S3StoreOptions['env'], requestMs: number): S3ClientConfig {
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || (endpoint ? 'us-east-1' : undefined)
  const accessKeyId = env.AWS_ACCESS_KEY_ID
  const secretAccessKey = env.AWS_SECRET_ACCESS_KEY
  const sessionToken = env.AWS_SESSION_TOKEN
  const credentials = { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! }
  return {
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: requestMs,
      throwOnRequestTimeout: true,
    },
    ...(region ? { region } : {}),
    // Other makers' servers rarely have a host name for each bucket.
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    ...(accessKeyId && secretAccessKey
      ? { credentials: sessionToken ? { ...credentials, sessionToken } : credentials }
      : {}),
  }
}

interface ServiceFault {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: 'the bucket does not exist; create it, or correct LAKE_URL',
  AccessDenied: 'the credentials may not do that there',
  InvalidAccessKeyId: 'the server does not know AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID',
  CredentialsProviderError: 'there are no credentials; set AWS_ACCESS_KEY_ID and the secret',
  NotImplemented: 'the store cannot put an object only if there is none (If-None-Match)',
  PermanentRedirect: 'the bucket is in another region; set AWS_REGION',
}

/** 409: somebody else is at the same object just now. */
const BUSY = new Set([408, 409, 429])

function storeError(verb: string, target: string, error: unknown, hasTaken: boolean): LensError {
  const { name = '', message = '', code, $metadata } = error as ServiceFault
  const status = $metadata?.httpStatusCode
  const why = ADVICE[name] ?? (/region is missing/i.test(message) ? 'set AWS_REGION' : '')
  const seen = [name, status, code, message].filter((part) => part !== undefined && part !== '')
  const text = `cannot ${verb} ${target}: ${why === '' ? '' : `${why} `}(${seen.join(' ')})`
  // No answer at all, or one that says "later"; of the others, a repeat gets the same again.
  const isNetwork = status === undefined && name !== 'CredentialsProviderError' && why === ''
  const isBusy = BUSY.has(status ?? 0) || ((status ?? 0) >= 500 && name !== 'NotImplemented')
  const retryable = isNetwork || isBusy || hasTaken
  return new LensError('store_unavailable', text, { retryable, cause: error })
}
