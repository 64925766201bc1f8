/** Rules that a formatter does not know, checked on the tree itself (house style, statement 24). */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'chai'

const ROOT = new URL('../', import.meta.url).pathname

interface SourceFile {
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  /** Imported modules: repo-relative paths, or package names. */
  readonly imports: readonly string[]
}

const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT })
  .toString()
  .trim()
  .split('\n')
const sources = tracked.filter((path) => path.endsWith('.ts')).map(readSource)
const services = sources.filter(({ path }) => path.startsWith('services/'))
const GENERATED = /^schemas\/records\.ts$|\.wasm\.ts$/

function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const specifiers = [...text.matchAll(/(?:from|import|require)\s*\(?\s*'([^']+)'/g)].map(
    (m) => m[1]!,
  )
  const imports = specifiers.map((name) =>
    name.startsWith('.') ? join(dirname(path), name.replace(/\.as$/, '.as.ts')) : name,
  )
  return { path, text, lines: text.split('\n'), imports }
}

/** `path:line` of every line that matches. */
function matches(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, lines }) =>
    lines.flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  )
}

describe('tidy', () => {
  it('keeps files short and lines within 100 columns', () => {
    const long = sources.filter(({ path, lines }) => {
      const most = path.startsWith('test/') ? 400 : 250
      return !GENERATED.test(path) && lines.length > most
    })
    expect(long.map(({ path }) => path)).deep.equal([])
    const written = sources.filter(({ path }) => !GENERATED.test(path))
    // Text for a person, and the title of a test, may be longer than the code around it.
    const long100 = matches(written, /^(?!.*(https?:|`|^ {2,4}it\()).{101,}$/)
    expect(long100).deep.equal([])
  })

  it('has no clock, randomness or I/O where the pure parts are', () => {
    const banned: [RegExp, string][] = [
      [/\bDate\.now\(|new Date\(\)/, 'take the time as an argument'],
      [/\bMath\.random\(/, 'take a seeded generator as an argument'],
      [/\bperformance\./, 'take a clock as an argument'],
      [/\bset(Timeout|Interval|Immediate)\(/, 'return wakeMs'],
      [/\bprocess\.(?!md)/, 'take configuration as an argument'],
      [/\bfetch\(/, 'return an effect'],
      [/\bconsole\./, 'return what is to be said'],
    ]
    const pure = services.filter(({ path }) => isPure(path))
    const found = banned.flatMap(([pattern, instead]) =>
      matches(pure, pattern).map((line) => `${line}  (${instead})`),
    )
    expect(pure.length).greaterThan(30)
    expect(found).deep.equal([])
  })

  it('imports downwards only', () => {
    const faults = sources.flatMap(({ path, imports }) =>
      imports.filter((name) => !mayImport(path, name)).map((name) => `${path} imports ${name}`),
    )
    expect(faults).deep.equal([])
  })

  it('has no file in services that nothing imports, and no exported name that nothing uses', () => {
    const imported = new Set(services.flatMap(({ imports }) => imports))
    const entries = /\/(main|library)\.ts$|^services\/lens\//
    const isEntry = ({ path, text }: SourceFile) => entries.test(path) || /^\/\/ pages/m.test(text)
    const dead = services.filter((file) => !imported.has(file.path) && !isEntry(file))
    expect(dead.map(({ path }) => path)).deep.equal([])
    const names = services.flatMap(({ path, text }) =>
      [...text.matchAll(/^export (?:async )?(?:function\*?|const|class) (\w+)/gm)].map((m) => ({
        path,
        name: m[1]!,
      })),
    )
    const unused = names.filter(({ path, name }) => {
      const word = new RegExp(`\\b${name}\\b`)
      return !sources.some((file) => file.path !== path && word.test(file.text))
    })
    expect(unused.map(({ path, name }) => `${path}: ${name}`)).deep.equal([])
  })

  it('documents every exported function of the libraries', () => {
    const bare = sources
      .filter(({ path }) => /^(schemas|services\/(core|formats|bus|lake))\//.test(path))
      .flatMap(({ path, lines }) =>
        lines.flatMap((line, i) =>
          /^export (async )?function/.test(line) && !/\*\/$/.test(lines[i - 1] ?? '')
            ? [`${path}:${i + 1}`]
            : [],
        ),
      )
    expect(bare).deep.equal([])
  })

  it('switches no test off and leaves no work for later', () => {
    const tests = sources.filter(({ path }) => path.startsWith('test/') && !path.includes('tidy'))
    expect(matches(tests, /\b(describe|it|context)\.(skip|only)\(|\bthis\.skip\(/)).deep.equal([])
    const others = sources.filter(({ path }) => !path.includes('tidy'))
    expect(matches(others, /\b(TODO|FIXME|XXX|HACK)\b/)).deep.equal([])
  })

  it('pins every dependency exactly and says why it is there', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const reasons = readFileSync(join(ROOT, 'docs/dependencies.md'), 'utf8')
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    for (const [name, version] of all) {
      expect(version, name).match(/^\d+\.\d+\.\d+(-[\w.]+)?$/)
      expect(reasons, `docs/dependencies.md has no line for ${name}`).contain(`\`${name}\``)
    }
    const used = new Set(sources.flatMap(({ imports }) => imports.map(packageOf)))
    const tools = new Set(['node', 'typescript', '@biomejs/biome', 'mocha', '@types/node'])
    const idle = all.map(([name]) => name).filter((name) => !tools.has(name))
    const unused = idle.filter((name) => !name.startsWith('@types/') && !used.has(name))
    expect(unused.filter((name) => !reasons.includes(`\`${name}\`, later`))).deep.equal([])
  })

  it('has in the root only what a newcomer expects there', () => {
    const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'docker-compose.yml']
    const expected = new Set([...files, 'README.md', 'CHANGELOG.md', 'LICENSE', 'biome.json'])
    const root = tracked.filter((path) => !path.includes('/') && !path.startsWith('.'))
    expect(root.filter((path) => !expected.has(path))).deep.equal([])
  })

  it('names no registry or other host in the lock file', () => {
    expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.contain('"resolved": "http')
  })
})

/** 'a' of 'a/b', and '@a/b' of '@a/b/c'. */
function packageOf(name: string): string {
  return /^(@[^/]+\/)?[^/]+/.exec(name)![0]
}

function isPure(path: string): boolean {
  return /^services\/(core|formats)\//.test(path) || /\/[a-z-]*processor\.ts$/.test(path)
}

const CLIENTS: Readonly<Record<string, RegExp>> = {
  kafkajs: /^services\/bus\/kafka/,
  avsc: /^services\/(bus\/codec|lake\/iceberg\/avro-file)/,
  '@kafkajs/confluent-schema-registry': /^services\/bus\/registry/,
  '@aws-sdk/client-s3': /^services\/lake\/s3-store/,
  'parquet-wasm': /^services\/formats\/parquet/,
  '@bufbuild/protobuf': /^services\/formats\/protobuf/,
  '@grpc/grpc-js': /^services\/exporter\/otlp-grpc/,
  '@msgpack/msgpack': /^services\/formats\/msgpack/,
  'csv-parse': /^services\/formats\/csv/,
  '@huggingface/tokenizers': /^services\/collector\/token-worker/,
  protobufjs: /^services\/collector\/otlp-trace/,
}

/** The import table of house style, section 3. */
function mayImport(path: string, name: string): boolean {
  if (path.startsWith('test/') || path.startsWith('docs/examples/')) return true
  // The generators read the tables of the services; nothing else in infra does.
  if (path.startsWith('infra/generate/')) return true
  if (path.startsWith('infra/')) {
    return !name.startsWith('services/') || name === 'services/core/errors.ts'
  }
  if (path.startsWith('schemas/')) return name.startsWith('schemas/')
  if (name.startsWith('infra/') || name.startsWith('test/')) return false
  const client = Object.keys(CLIENTS).find(
    (known) => name === known || name.startsWith(`${known}/`),
  )
  if (client && !CLIENTS[client]!.test(path)) return false
  const layer = path.split('/')[1]!
  const target = name.startsWith('services/') ? name.split('/')[1]! : null
  if (name.startsWith('schemas/')) return true
  if (layer === 'core') return target === 'core'
  if (layer === 'formats') return target === 'core' || target === 'formats' || isEncoder(name)
  if (layer === 'bus') return target === null || target === 'core' || target === 'bus'
  if (layer === 'lake') return target === null || ['core', 'formats', layer].includes(target)
  if (isPure(path) && (target === 'bus' || name.startsWith('node:'))) return false
  if (layer === 'standalone') return true
  // The command line tries rules as the service would take them.
  if (layer === 'lens' && target === 'triggers') return true
  return target === null || ['core', 'formats', 'bus', 'lake', layer].includes(target)
}

function isEncoder(name: string): boolean {
  return [
    'apache-arrow',
    'parquet-wasm',
    '@bufbuild/protobuf/wire',
    '@msgpack/msgpack',
    'csv-parse/sync',
    '@opentelemetry/otlp-transformer',
    '@opentelemetry/sdk-metrics',
    '@opentelemetry/api',
  ].includes(name)
}
