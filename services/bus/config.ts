import { parseArgs } from 'node:util'
import { z } from 'zod'
import { LensError } from '../core/errors.ts'

/** What every service takes, under the names that its users already know. */
export const commonOptions = {
  kafkaBrokers: z
    .string()
    .default('')
    .meta({ env: 'KAFKA_BROKERS' })
    .describe('Kafka bootstrap servers, host:port separated by commas; empty = in-process bus'),
  schemaRegistryUrl: z
    .string()
    .refine((text) => text === '' || isHttpUrl(text), 'write http://host:port')
    .default('')
    .meta({ env: 'SCHEMA_REGISTRY_URL' })
    .describe('Confluent-compatible schema registry; needed with Kafka'),
}

export interface ConfigSource {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly argv: readonly string[]
}

/** `tapPort` is the flag --tap-port and the variable LENS_TAP_PORT, unless its meta names another. */
export function optionNames(key: string, type: z.ZodType): { flag: string; env: string } {
  const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  const named = type.meta()?.env
  const env = typeof named === 'string' ? named : `LENS_${flag.replaceAll('-', '_').toUpperCase()}`
  return { flag, env }
}

/**
 * Reads one service's configuration: a flag beats a variable, a variable the default. The result
 * is frozen. Throws LensError configuration_invalid that lists every fault at once.
 */
export function loadConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  source: ConfigSource,
): Readonly<z.infer<z.ZodObject<Shape>>> {
  const keys = Object.keys(schema.shape)
  const names = new Map(keys.map((key) => [key, optionNames(key, typeOf(schema, key))]))
  const flags: Record<string, { type: 'string' | 'boolean' }> = {}
  for (const key of keys) flags[names.get(key)!.flag] = { type: flagType(typeOf(schema, key)) }
  let given: Record<string, unknown>
  try {
    given = parseArgs({ args: [...source.argv], options: flags, strict: true }).values
  } catch (error) {
    throw new LensError('configuration_invalid', `${(error as Error).message}; --help lists them`)
  }
  const raw: Record<string, unknown> = {}
  for (const key of keys) {
    const { flag, env } = names.get(key)!
    const value = given[flag] ?? (source.env[env] === '' ? undefined : source.env[env])
    if (value !== undefined) raw[key] = value === true ? 'true' : value
  }
  const parsed = schema.safeParse(raw)
  if (parsed.success) return Object.freeze(parsed.data)
  const faults = parsed.error.issues.map((issue) => {
    const key = String(issue.path[0])
    const { flag, env } = names.get(key) ?? { flag: '?', env: '?' }
    const isMissing = key in schema.shape && !(key in raw)
    const why = isMissing ? `must be given: ${typeOf(schema, key).description}` : issue.message
    return `--${flag} (${env}): ${why}`
  })
  throw new LensError('configuration_invalid', faults.join('\n'))
}

/** The --help text of a configuration: one line per option with its variable and default. */
export function configHelp(usage: string, schema: z.ZodObject): string {
  const lines = Object.keys(schema.shape).map((key) => {
    const type = typeOf(schema, key)
    const { flag, env } = optionNames(key, type)
    const hasDefault = type instanceof z.ZodDefault || type instanceof z.ZodPrefault
    const fallback = hasDefault && type.def.defaultValue !== '' ? ` [${type.def.defaultValue}]` : ''
    return `  --${flag.padEnd(22)} ${type.description ?? ''}${fallback}\n${' '.repeat(27)}(${env})`
  })
  return `${usage}\n\noptions (flag, else environment variable, else default):\n${lines.join('\n')}\n`
}

function typeOf(schema: z.ZodObject, key: string): z.ZodType {
  return schema.shape[key] as z.ZodType
}

function flagType(type: z.ZodType): 'string' | 'boolean' {
  return type.meta()?.flag === 'boolean' ? 'boolean' : 'string'
}

/** A switch: --name, or a variable that says true or false. */
export const toggle = z.stringbool().prefault('false').meta({ flag: 'boolean' })

/** A duration such as 500ms, 90s, 5m, 1h; the value is in milliseconds. */
export const duration = z.string().transform((text, context) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ''] ?? 0
  if (!match || unit === 0) {
    context.addIssue(`${JSON.stringify(text)} is not a duration; write 500ms, 90s, 5m or 1h`)
    return z.NEVER
  }
  return Number(match[1]) * unit
})

/** Whether a text is the URL of one server that is spoken to by HTTP. */
function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '')
}

/** What a URL must be that is shown in logs and whose user and password would not be sent. */
export const PLAIN_HTTP_URL = 'must be an http or https URL without user and password'

/** Whether a text is such a URL. */
export function isPlainHttpUrl(text: string): boolean {
  const { username, password } = URL.parse(text) ?? {}
  return isHttpUrl(text) && !username && !password
}
