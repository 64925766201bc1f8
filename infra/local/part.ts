import type { Command } from './child.ts'

export type PartName = 'kafka' | 'registry' | 's3'

/** Where one part runs. */
export interface Place {
  /** The folder it was installed in. */
  readonly home: string
  /** The folder that holds its data and its log. */
  readonly data: string
  readonly ports: readonly number[]
  /** The Java program; empty for a part that needs none. */
  readonly java: string
}

/** One server of the real stack: how it is installed, started and asked whether it answers. */
export interface Part {
  readonly name: PartName
  /** Name and version, for people. */
  readonly title: string
  /** Its folder in the cache. */
  readonly release: string
  /** What fetches it: only needed once. */
  readonly installer: 'maven' | 'python'
  /** The oldest Java major version that runs it; 0 for none. */
  readonly javaMin: number
  readonly portCount: number
  /** Fetches everything into an empty folder. */
  install(folder: string, signal?: AbortSignal): Promise<void>
  /** Writes settings and formats storage; called before every start, on old data too. */
  prepare(place: Place): Promise<void>
  command(place: Place): Command
  /** Removes what it leaves outside its data folder; called when it has ended. */
  cleanUp?(place: Place): void
  /** Throws until the part really answers. */
  probe(place: Place): Promise<void>
  /** The variables by which the services find it. */
  env(place: Place): Record<string, string>
}
