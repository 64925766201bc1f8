import type { Comparison, Condition, Rule } from '../core/triggers/rule.ts'
import { describeCondition } from '../core/triggers/rule.ts'
import { seriesAttributes } from '../formats/otlp-metric.ts'
import { labelName } from '../formats/prometheus.ts'

/** An alerting rule as Prometheus has them. */
export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly keep_firing_for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** What of rules Prometheus can say, and what it cannot; for a person. */
export interface Translated {
  readonly alerts: readonly AlertRule[]
  readonly notes: readonly string[]
}

/** Why a rule has no words there. */
class Unsaid extends Error {}

const QUANTILES: Readonly<Record<string, string>> = { p50: '0.5', p95: '0.95', p99: '0.99' }

/**
 * Rules as alerts on the gauges that the exporter gives (`--otlp-views`), windows as they are, so
 * that both see the same values at the same times.
 */
export function prometheusAlerts(rules: readonly Rule[]): Translated {
  const alerts: AlertRule[] = []
  const notes: string[] = []
  for (const rule of rules) {
    try {
      alerts.push(alertOf(rule))
      if (rule.cooldownMs > 0) notes.push(`${rule.name}: without its cooldown`)
    } catch (error) {
      if (!(error instanceof Unsaid)) throw error
      notes.push(`${rule.name} is left out: ${error.message}`)
    }
  }
  return { alerts, notes }
}

function alertOf(rule: Rule): AlertRule {
  if (rule.windowMs === 60_000) throw new Unsaid('no gauge is of one minute')
  if (rule.noData === 'breach') throw new Unsaid('a series that is not there breaches nothing')
  return {
    alert: rule.name,
    expr: exprOf(rule.when, rule),
    ...(rule.forMs > 0 && { for: seconds(rule.forMs) }),
    ...(rule.keepFiringMs > 0 && { keep_firing_for: seconds(rule.keepFiringMs) }),
    labels: { severity: rule.severity },
    annotations: { summary: describeCondition(rule.when) },
  }
}

function seconds(ms: number): string {
  return `${ms / 1000}s`
}

function exprOf(condition: Condition, rule: Rule): string {
  switch (condition.kind) {
    case 'not':
      throw new Unsaid('the opposite of a condition is no series')
    case 'all':
      return joined(condition.conditions, `and on (${labelsOf(rule)})`, rule)
    case 'any':
      return joined(condition.conditions, `or on (${labelsOf(rule)})`, rule)
    case 'compare':
      return comparisonOf(condition, rule)
  }
}

function joined(conditions: readonly Condition[], operator: string, rule: Rule): string {
  return conditions.map((one) => `(${exprOf(one, rule)})`).join(` ${operator} `)
}

function comparisonOf(comparison: Comparison, rule: Rule): string {
  const { reading, direction, threshold, leave, minCount } = comparison
  if (leave !== null) throw new Unsaid('it knows no thresholds to leave')
  const sign = direction === 'above' ? '>' : '<'
  const enough = (selector: string) =>
    minCount > 1 ? ` and on (${labelsOf(rule)}) ${selector} >= ${minCount}` : ''
  const requests = `${selectorOf('requests_per_second', rule)} * ${rule.windowMs / 1000}`
  switch (reading.kind) {
    case 'metric': {
      const quantile = QUANTILES[reading.stat]
      if (!quantile) throw new Unsaid(`no gauge has ${reading.stat}`)
      const isTime = reading.metric.endsWith('_us')
      const name = `${reading.metric.replace(/_us$/, '')}_${isTime ? 'seconds' : 'ratio'}`
      const values = selectorOf(name, rule, { quantile })
      const counts = selectorOf('observations', rule, { measure: reading.metric })
      return `${values} ${sign} ${isTime ? threshold / 1e6 : threshold}${enough(counts)}`
    }
    case 'rate': {
      const known = ['requests', 'output_tokens'].includes(reading.counter)
      if (!known) throw new Unsaid(`no gauge has the rate of ${reading.counter}`)
      return `${selectorOf(`${reading.counter}_per_second`, rule)} ${sign} ${threshold}`
    }
    case 'ratio': {
      const known = reading.counter === 'errors' && reading.of === 'requests'
      if (!known) throw new Unsaid(`no gauge has ${reading.counter} of ${reading.of}`)
      return `${selectorOf('errors_ratio', rule)} ${sign} ${threshold}${enough(requests)}`
    }
    case 'gauge': {
      const { gauge: name, stat } = reading
      if (stat !== 'mean' && stat !== 'max') throw new Unsaid(`no gauge has the ${stat} of ${name}`)
      return `${selectorOf('resource', rule, { name, stat })} ${sign} ${threshold}`
    }
  }
}

/** `latency_lens_view_NAME` of a rule's windows and series. */
function selectorOf(name: string, rule: Rule, more: Readonly<Record<string, string>> = {}): string {
  const window = `${rule.windowMs / 60_000}m`
  const grouping = [...rule.groupBy].sort().join(',')
  const { 'gen_ai.operation.name': _, ...series } = seriesAttributes(rule.series)
  const labels = Object.entries({ grouping, window, ...series, ...more })
  const text = labels.map(([label, value]) => `${labelName(label)}=${JSON.stringify(value)}`)
  return `latency_lens_view_${name}{${text.join(', ')}}`
}

/** The labels that tell the series of a rule apart. */
function labelsOf({ groupBy }: Rule): string {
  const { 'gen_ai.operation.name': _, ...series } = seriesAttributes(
    Object.fromEntries(groupBy.map((name) => [name, ''])),
  )
  return Object.keys(series).map(labelName).join(', ')
}
