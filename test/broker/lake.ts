/** Reads a lake in S3 as an analyst would: every object downloaded, then DuckDB. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { DuckDBInstance } from '@duckdb/node-api'

type Row = Readonly<Record<string, unknown>>

/** Runs a query; LAKE in it stands for the folder. */
export type LakeQuery = (sql: string) => Promise<readonly Row[]>

/** Downloads everything below s3://bucket/prefix and opens it. */
export async function openLake(
  url: string,
  env: Readonly<Record<string, string>>,
): Promise<LakeQuery> {
  const [bucket, ...rest] = url.slice('s3://'.length).split('/')
  const client = new S3Client({
    endpoint: env.AWS_ENDPOINT_URL_S3!,
    region: env.AWS_REGION ?? 'us-east-1',
    forcePathStyle: true,
    credentials: {
      accessKeyId: env.AWS_ACCESS_KEY_ID!,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY!,
    },
  })
  const folder = mkdtempSync(join(tmpdir(), 'lens-lake-'))
  const where = { Bucket: bucket!, Prefix: rest.join('/') }
  let token: string | undefined
  do {
    const page = await client.send(
      new ListObjectsV2Command({ ...where, ...(token ? { ContinuationToken: token } : {}) }),
    )
    for (const { Key } of page.Contents ?? []) {
      const object = await client.send(new GetObjectCommand({ Bucket: bucket!, Key: Key! }))
      const path = join(folder, Key!.slice(where.Prefix.length))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, await object.Body!.transformToByteArray())
    }
    token = page.NextContinuationToken
  } while (token)
  const connection = await (await DuckDBInstance.create()).connect()
  return async (sql) => {
    const reader = await connection.runAndReadAll(sql.replaceAll('LAKE', folder))
    return reader.getRowObjectsJson()
  }
}
