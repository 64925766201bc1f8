import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { TOPICS } from '../../schemas/topics.ts'
import { LensError } from '../core/errors.ts'

/** Where schema ids come from. Used at start and when a new id is seen, never per record. */
export interface Registry {
  /** The id under which the topic's schema is registered, registering it when it is new. */
  idOf(topic: string, schema: string): Promise<number>
  /** The schema of an id, or null when the registry does not have it. */
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

/** A Confluent-compatible registry; subjects are `topic-value`, compatibility is BACKWARD. */
export function createConfluentRegistry(url: string): Registry {
  const client = new SchemaRegistry({ host: url, retry: { retries: 3 } })
  return {
    async idOf(topic, schema) {
      const subject = `${topic}-value`
      try {
        return (await client.register({ type: SchemaType.AVRO, schema }, { subject })).id
      } catch (cause) {
        throw unavailable(`could not register the schema of ${subject} at ${url}`, cause)
      }
    },
    async schemaOf(id) {
      try {
        const schema = (await client.getSchema(id)) as { schema?(options: object): unknown }
        // Only Avro schemas have this method; a JSON or Protobuf one cannot be read here.
        return schema.schema ? JSON.stringify(schema.schema({ exportAttrs: true })) : null
      } catch (cause) {
        if ((cause as { status?: number }).status === 404) return null
        throw unavailable(`could not fetch schema ${id} from ${url}`, cause)
      }
    },
  }
}

function unavailable(what: string, cause: unknown): LensError {
  const message = `${what}: ${(cause as Error).message}`
  return new LensError('registry_unavailable', message, { retryable: true, cause })
}
