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
