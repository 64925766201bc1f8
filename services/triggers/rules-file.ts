import { isNode, LineCounter, parseDocument, visit } from 'yaml'
import { z } from 'zod'
import { LensError } from '../core/errors.ts'
import type { Rule } from '../core/triggers/rule.ts'
import { ruleCondition, ruleDuration } from './conditions.ts'

const WINDOWS: Readonly<Record<string, number>> = { '1m': 60_000, '5m': 300_000, '15m': 900_000 }

const rule = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a name is lower-case letters, digits and -'),
    severity: z.string().min(1).default('warning'),
    groupBy: z.array(z.string().min(1)).default(['model']),
    series: z.record(z.string(), z.string()).default({}),
    window: z.enum(['1m', '5m', '15m']),
    when: ruleCondition,
    for: ruleDuration.default(0),
    keepFiring: ruleDuration.default(0),
    cooldown: ruleDuration.default(0),
    noData: z.enum(['hold', 'ok', 'breach']).default('hold'),
  })
  .transform(
    ({ window, for: forMs, keepFiring: keepFiringMs, cooldown, ...rest }): Rule => ({
      ...rest,
      windowMs: WINDOWS[window]!,
      forMs,
      keepFiringMs,
      cooldownMs: cooldown,
    }),
  )

const ruleList = z.array(rule).min(1)

function checkRules(rules: z.infer<typeof ruleList>, context: z.RefinementCtx): void {
  const names = new Set<string>()
  rules.forEach(({ name, groupBy, series }, i) => {
    if (names.has(name)) issue(context, ['rules', i, 'name'], `the name ${name} is taken`)
    names.add(name)
    const twice = groupBy.findIndex((dimension, at) => groupBy.indexOf(dimension) !== at)
    if (twice >= 0) issue(context, ['rules', i, 'groupBy', twice], 'the dimension is named twice')
    for (const dimension of Object.keys(series)) {
      if (groupBy.includes(dimension)) continue
      issue(context, ['rules', i, 'series', dimension], `${dimension} is not in groupBy`)
    }
  })
}

function issue(context: z.RefinementCtx, path: (string | number)[], message: string): void {
  context.addIssue({ code: 'custom', path, message })
}

/**
 * Reads the rules of a file. Throws LensError rules_invalid that lists every fault with its line.
 * `name` is the file's name, for the messages.
 */
export function parseRules(text: string, name: string): readonly Rule[] {
  return parseRulesFile(text, name, z.array(z.unknown())).rules
}

/** The same with the tests that stand beside the rules, each as this schema has it. */
export function parseRulesFile<T>(
  text: string,
  name: string,
  tests: z.ZodType<T[]>,
): { readonly rules: readonly Rule[]; readonly tests: readonly T[] } {
  const file = z
    .strictObject({ rules: ruleList, tests: tests.optional() })
    .superRefine(({ rules }, context) => checkRules(rules, context))
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const syntax = document.errors.map((error) => {
    const { line } = lines.linePos(error.pos[0])
    return `${name}:${line}: ${error.message.split('\n')[0]}`
  })
  if (syntax.length > 0) throw new LensError('rules_invalid', syntax.join('\n'))
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document)) return
      const { line } = lines.linePos(node.range![0])
      const message = `${name}:${line}: the alias *${node.source} stands for nothing`
      throw new LensError('rules_invalid', message)
    },
  })
  const parsed = file.safeParse(document.toJS())
  if (parsed.success) {
    return { rules: Object.freeze(parsed.data.rules), tests: parsed.data.tests ?? [] }
  }
  const faults = parsed.error.issues.map((fault) => {
    const { path, message } = fault
    // An unknown key is named in the fault, not in its path.
    const inner = fault.code === 'unrecognized_keys' ? [...path, fault.keys[0]!] : path
    const line = lineOf(document, inner, lines)
    return `${name}:${line}: ${path.join('.') || 'the file'}: ${message}`
  })
  throw new LensError('rules_invalid', faults.join('\n'))
}

/** The line of the innermost part of the path that the file has. */
function lineOf(
  document: ReturnType<typeof parseDocument>,
  path: readonly PropertyKey[],
  lines: LineCounter,
): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth) as (string | number)[], true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return 1
}
