import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { TOPICS } from '../../schemas/topics.ts'
import { LensError } from '../core/errors.ts'

/** Where schema ids come from. Used at start and when a new id is seen, never per record. */
export interface Registry {
  /** The id under which the topic's schema is registered, registering it when it is new. */
  idOf(topic: string, schema: string): Promise<number>
  /** The schema of an id as it was registered, of whatever kind; null when there is none. */
  schemaOf(id: number): Promise<string | null>
}

/** Ids of the schema files themselves, for the bus inside one process. */
export function createFileRegistry(schemas: Readonly<Record<string, string>>): Registry {
  const files = [...new Set(TOPICS.map((topic) => topic.schema))]
  return {
    idOf: async (topic) => files.indexOf(TOPICS.find((row) => row.name === topic)!.schema) + 1,
    schemaOf: async (id) => schemas[files[id - 1] ?? ''] ?? null,
  }
}

/** What a registry says of an id that it does not have: any other 404 is of somebody between. */
const NOT_FOUND = 40403

/** One silent registry must not hold a partition for longer than a session. */
const ANSWER_MAX_MS = 5_000

/** A Confluent-compatible registry; subjects are `topic-value`, compatibility is BACKWARD. */
export function createConfluentRegistry(url: string): Registry {
  const client = new SchemaRegistry({ host: url.replace(/\/$/, ''), retry: { retries: 3 } })
  const { place, headers } = withoutCredentials(new URL(url))
  return {
    async idOf(topic, schema) {
      const subject = `${topic}-value`
      try {
        return (await client.register({ type: SchemaType.AVRO, schema }, { subject })).id
      } catch (cause) {
        throw unavailable(`could not register the schema of ${subject} at ${place}`, cause)
      }
    },
    // The client would also compile it, and fail in the same way for what it cannot compile.
    async schemaOf(id) {
      const what = `could not fetch schema ${id} from ${place}`
      const signal = AbortSignal.timeout(ANSWER_MAX_MS)
      const answer = await fetch(`${place}/schemas/ids/${id}`, { headers, signal }).catch(
        (cause) => {
          throw unavailable(what, cause)
        },
      )
      const body = (await answer.json().catch(() => null)) as Answer | null
      if (answer.status === 404 && body?.error_code === NOT_FOUND) return null
      if (!answer.ok || typeof body?.schema !== 'string') {
        throw unavailable(what, new Error(`it answers ${answer.status} ${JSON.stringify(body)}`))
      }
      if (!body.references?.length) return body.schema
      return withReferences(client, id).catch((cause) => {
        if (cause.status !== undefined) throw unavailable(what, cause)
        return body.schema!
      })
    },
  }
}

/** The text of a schema that names others, with those in it. */
async function withReferences(client: SchemaRegistry, id: number): Promise<string> {
  const found: unknown = await client.getSchema(id)
  const type = found as { schema(options: object): unknown }
  return JSON.stringify(type.schema({ exportAttrs: true }))
}

/** fetch() takes none in a URL, and nobody should read them in a message. */
function withoutCredentials({ origin, pathname, username, password }: URL) {
  const pair = [username, password].map(plainText).join(':')
  const headers = username === '' ? {} : { authorization: `Basic ${btoa(pair)}` }
  return { place: `${origin}${pathname.replace(/\/$/, '')}`, headers }
}

/** What is percent-encoded, or was meant to be as it is. */
function plainText(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

interface Answer {
  readonly error_code?: number
  readonly schema?: string
  readonly references?: readonly object[]
}

function unavailable(what: string, cause: unknown): LensError {
  const message = `${what}: ${(cause as Error).message}`
  return new LensError('registry_unavailable', message, { retryable: true, cause })
}
