import { PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { LensError } from '../core/errors.ts'
import type { ObjectStore } from './store.ts'

export interface S3StoreOptions {
  readonly bucket: string
  /** Before every path; empty for none. */
  readonly prefix: string
  /** The AWS_* variables; what is not in them comes from the SDK's own chain. */
  readonly env: Readonly<Record<string, string | undefined>>
}

// A few only: the caller repeats a retryable failure, and keeps its group membership meanwhile.
const ATTEMPTS = 3
const CONNECT_MS = 5000
const REQUEST_MS = 30_000
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  parquet: 'application/vnd.apache.parquet',
  arrows: 'application/vnd.apache.arrow.stream',
  json: 'application/json',
}

/** A lake in an S3 bucket, or in one of another maker behind AWS_ENDPOINT_URL_S3. */
export function createS3Store({ bucket, prefix, env }: S3StoreOptions): ObjectStore {
  const client = new S3Client(clientConfig(env))
  const before = prefix === '' ? '' : `${prefix}/`
  const describe = `s3://${bucket}/${prefix}`
  // A store that has taken something is set up: what it refuses after that may pass.
  let hasTaken = false
  return {
    describe,
    async put(path, bytes) {
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: before + path,
        Body: bytes,
        ContentLength: bytes.length,
        ContentType:
          CONTENT_TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
      })
      try {
        await client.send(command)
        hasTaken = true
      } catch (error) {
        throw storeError(`s3://${bucket}/${before}${path}`, error, hasTaken)
      }
    },
  }
}

function clientConfig(env: S3StoreOptions['env']): S3ClientConfig {
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
      requestTimeout: REQUEST_MS,
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
  AccessDenied: 'the credentials may not put objects there',
  InvalidAccessKeyId: 'the server does not know AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID',
  CredentialsProviderError: 'there are no credentials; set AWS_ACCESS_KEY_ID and the secret',
  PermanentRedirect: 'the bucket is in another region; set AWS_REGION',
}

function storeError(target: string, error: unknown, hasTaken: boolean): LensError {
  const { name = '', message = '', code, $metadata } = error as ServiceFault
  const status = $metadata?.httpStatusCode
  const why = ADVICE[name] ?? (/region is missing/i.test(message) ? 'set AWS_REGION' : '')
  const seen = [name, status, code, message].filter((part) => part !== undefined && part !== '')
  const text = `cannot put ${target}: ${why === '' ? '' : `${why} `}(${seen.join(' ')})`
  // No answer at all, or one that says "later"; of the others, a repeat gets the same again.
  const isNetwork = status === undefined && name !== 'CredentialsProviderError' && why === ''
  const isBusy = status === 408 || status === 429 || (status !== undefined && status >= 500)
  const retryable = isNetwork || isBusy || hasTaken
  return new LensError('store_unavailable', text, { retryable, cause: error })
}
