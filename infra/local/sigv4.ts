import { createHash, createHmac } from 'node:crypto'

const EMPTY_HASH = createHash('sha256').digest('hex')

/**
 * The headers of an S3 request without a body or query, signed by AWS Signature Version 4:
 * canonical request → string to sign → signature by a key derived from date, region and service.
 */
export function signedHeaders(
  method: string,
  url: string,
  region: string,
  keys: { readonly id: string; readonly secret: string },
  now: Date,
): Record<string, string> {
  const { host, pathname } = new URL(url)
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = [time.slice(0, 8), region, 's3', 'aws4_request']
  const signed = { host, 'x-amz-content-sha256': EMPTY_HASH, 'x-amz-date': time }
  const lines = Object.entries(signed).map(([name, value]) => `${name}:${value}\n`)
  const names = Object.keys(signed).join(';')
  const request = [method, pathname, '', lines.join(''), names, EMPTY_HASH].join('\n')
  const requestHash = createHash('sha256').update(request).digest('hex')
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), requestHash].join('\n')
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${keys.secret}`)
  const signature = hmac(key, text).toString('hex')
  const { host: _, ...headers } = signed
  const parts = [`Credential=${keys.id}/${scope.join('/')}`, `SignedHeaders=${names}`]
  return { ...headers, authorization: `AWS4-HMAC-SHA256 ${parts},Signature=${signature}` }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
