import { expect } from 'chai'
import { z } from 'zod'
import {
  commonOptions,
  configHelp,
  duration,
  loadConfig,
  optionNames,
  toggle,
} from '../../../services/bus/config.ts'
import { serviceOptions } from '../../../services/bus/service.ts'
import type { LensError } from '../../../services/core/errors.ts'
import { statisticsOptions } from '../../../services/statistics/config.ts'
import { triggersOptions } from '../../../services/triggers/config.ts'
import { windowingOptions } from '../../../services/windowing/config.ts'

const options = z.object({
  ...commonOptions,
  tapPort: z.coerce.number().int().min(0).max(65_535).default(8080).describe('listen here'),
  every: duration.prefault('5s').describe('how often'),
  dryRun: toggle.describe('only say what would be done'),
  bucket: z.string().min(3).describe('where to put it; no default'),
})

const NEEDED = { LENS_BUCKET: 'lake' }

function load(argv: readonly string[], env: Record<string, string> = {}) {
  return loadConfig(options, { argv, env: { ...NEEDED, ...env } })
}

/** The faults, one a line. */
function faultsOf(argv: readonly string[], env: Record<string, string> = {}): string[] {
  try {
    loadConfig(options, { argv, env })
  } catch (error) {
    expect(error).to.include({ code: 'configuration_invalid', retryable: false })
    return (error as LensError).message.split('\n')
  }
  throw new Error('there was no fault')
}

describe('bus/config', () => {
  it('takes the flag, else the variable, else the default', () => {
    expect(load([]).tapPort).to.equal(8080)
    expect(load([], { LENS_TAP_PORT: '81' }).tapPort).to.equal(81)
    expect(load(['--tap-port', '82'], { LENS_TAP_PORT: '81' }).tapPort).to.equal(82)
    expect(load(['--tap-port=82'], { LENS_TAP_PORT: '81' }).tapPort).to.equal(82)
  })

  it('takes an empty variable as none, as compose files set them', () => {
    expect(load([], { LENS_TAP_PORT: '', LENS_EVERY: '' })).to.include({
      tapPort: 8080,
      every: 5000,
    })
  })

  it('knows the brokers and the registry under the names that everybody uses', () => {
    const env = { KAFKA_BROKERS: 'a:1', SCHEMA_REGISTRY_URL: 'http://b' }
    const found = load([], env)
    expect(found).to.include({ kafkaBrokers: 'a:1', schemaRegistryUrl: 'http://b' })
    expect(load(['--kafka-brokers', 'c:2'], env).kafkaBrokers).to.equal('c:2')
    expect(load([], { LENS_KAFKA_BROKERS: 'd:3' }).kafkaBrokers).to.equal('')
    expect(optionNames('kafkaBrokers', commonOptions.kafkaBrokers)).to.deep.equal({
      flag: 'kafka-brokers',
      env: 'KAFKA_BROKERS',
    })
  })

  it('switches on by a bare flag, or by a variable that says so', () => {
    expect(load([]).dryRun).to.equal(false)
    expect(load(['--dry-run']).dryRun).to.equal(true)
    for (const yes of ['true', '1', 'yes', 'on']) {
      expect(load([], { LENS_DRY_RUN: yes }).dryRun, yes).to.equal(true)
    }
    expect(load(['--dry-run'], { LENS_DRY_RUN: 'false' }).dryRun).to.equal(true)
    expect(load([], { LENS_DRY_RUN: 'false' }).dryRun).to.equal(false)
  })

  it('reads durations of every unit', () => {
    const read = (text: string) => load(['--every', text]).every
    expect(['500ms', '90s', '5m', '1h', '1.5s', '0s'].map(read)).to.deep.equal([
      500, 90_000, 300_000, 3_600_000, 1_500, 0,
    ])
    for (const wrong of ['5', '5 s', '-5s', '5d', 's', '', '1e3s']) {
      expect(faultsOf([`--every=${wrong}`], NEEDED)[0], wrong).to.contain('is not a duration')
    }
  })

  it('lists every fault at once, each with its flag and its variable', () => {
    const env = { LENS_BUCKET: 'x', LENS_TAP_PORT: '70000' }
    const faults = faultsOf(['--every', 'soon', '--dry-run'], env)
    expect(faults.map((line) => line.split(':')[0])).to.have.members([
      '--tap-port (LENS_TAP_PORT)',
      '--every (LENS_EVERY)',
      '--bucket (LENS_BUCKET)',
    ])
    expect(faults.join('\n')).to.contain('65535').and.contain('"soon"')
  })

  it('says which option is needed and not there', () => {
    expect(faultsOf([])[0]).to.match(/^--bucket \(LENS_BUCKET\): must be given: \w/)
  })

  it('refuses a number that is none', () => {
    for (const wrong of ['eighty', '8.5', '-1', 'NaN']) {
      expect(faultsOf([`--tap-port=${wrong}`], NEEDED), wrong).to.have.length(1)
    }
  })

  it('refuses a registry that is not the URL of one server', () => {
    for (const wrong of ['localhost:8081', 'http:', 'http://a:8081,http://b:8081']) {
      const [fault] = faultsOf([`--schema-registry-url=${wrong}`], NEEDED)
      expect(fault, wrong).to.contain('--schema-registry-url').and.contain('write http://host:port')
    }
  })

  it('refuses an unknown flag, a lone word and a flag without its value', () => {
    expect(faultsOf(['--tap-prot', '1'], NEEDED)[0])
      .to.contain('--tap-prot')
      .and.contain('--help')
    expect(faultsOf(['serve'], NEEDED)[0]).to.contain('serve')
    expect(faultsOf(['--bucket'], NEEDED)[0]).to.contain('--bucket')
  })

  it('gives what nobody can change', () => {
    expect(Object.isFrozen(load([]))).to.equal(true)
  })
})

describe('bus/config, help', () => {
  const services: Record<string, z.ZodObject> = {
    example: options,
    windowing: windowingOptions,
    statistics: statisticsOptions,
    triggers: triggersOptions,
  }

  for (const [name, schema] of Object.entries(services)) {
    it(`shows every option of ${name} with its variable and what it does`, () => {
      const help = configHelp('usage: it', schema)
      expect(help.startsWith('usage: it\n')).to.equal(true)
      for (const key of Object.keys(schema.shape)) {
        const type = schema.shape[key] as z.ZodType
        const { flag, env } = optionNames(key, type)
        expect(type.description, `${flag} has no description`).to.be.a('string')
        expect(help).to.contain(`--${flag} `).and.contain(`(${env})`)
        expect(help).to.contain(type.description)
      }
      expect(help).not.to.contain('undefined').and.not.contain('[object')
    })
  }

  it('shows defaults as they are written', () => {
    const help = configHelp('', options)
    expect(help).to.match(/--tap-port +listen here \[8080\]\n +\(LENS_TAP_PORT\)\n/)
    expect(help).to.contain('how often [5s]')
    expect(help).to.contain('[false]')
    expect(help).not.to.contain('no default [')
  })

  it('has a default for every option of a stage, so that it starts without any', () => {
    for (const schema of [windowingOptions, statisticsOptions, triggersOptions]) {
      expect(() => loadConfig(schema as z.ZodObject, { argv: [], env: {} })).not.to.throw()
    }
    const { healthPort } = loadConfig(z.object(serviceOptions), { argv: [], env: {} })
    expect(healthPort).to.equal(0)
  })
})
