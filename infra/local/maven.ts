import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child.ts'

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1'

/**
 * Downloads something with one goal of Maven's dependency plugin, run in a folder. A second try
 * follows a failure: the network, or another Maven at work in the same local repository.
 */
export async function mavenDependency(
  title: string,
  goal: string,
  options: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const args = ['--batch-mode', '--quiet', '--strict-checksums', `${PLUGIN}:${goal}`, ...options]
  const command = { file: 'mvn', args, cwd: folder }
  const purpose = `download ${title} with Maven`
  try {
    await runChild(command, purpose, signal)
  } catch {
    signal?.throwIfAborted()
    await runChild(command, purpose, signal)
  }
}

/** Downloads artifacts, as group:name:version, and all that they need at run time, into libs/. */
export async function mavenJars(
  title: string,
  artifacts: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  writeFileSync(join(folder, 'pom.xml'), pom(artifacts))
  const options = ['-DoutputDirectory=libs', '-DincludeScope=runtime']
  await mavenDependency(title, 'copy-dependencies', options, folder, signal)
}

function pom(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':')
    return (
      `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId>` +
      `<version>${version}</version></dependency>`
    )
  })
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>local</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${dependencies.join('\n    ')}
  </dependencies>
</project>
`
}
