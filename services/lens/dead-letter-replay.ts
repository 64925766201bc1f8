import type { DeadLetter } from '../../schemas/records.ts'
import { TOPICS } from '../../schemas/topics.ts'
import type { Appended, NewRecord, Sink } from '../bus/port.ts'
import { LensError } from '../core/errors.ts'
import {
  createFirstTime,
  fits,
  type LetterFilter,
  type Parts,
  parsePlace,
  placeOf,
  scanDeadLetters,
  type Write,
} from './dead-letter-scan.ts'

/** What is sent again: the records of `places`, or where that is null, those that fit. */
export interface ReplayChoice extends LetterFilter {
  readonly places: ReadonlySet<string> | null
  /** False: only say what would be sent. */
  readonly send: boolean
}

interface ReplayArguments extends LetterFilter {
  readonly places: readonly string[]
  readonly all: boolean
  readonly yes: boolean
  readonly dryRun: boolean
}

/** The choice that arguments mean; throws LensError where they contradict each other. */
export function replayChoice({ places, ...given }: ReplayArguments): ReplayChoice {
  const { topic, reason, all, yes, dryRun } = given
  const ways = [places.length > 0, topic !== undefined || reason !== undefined, all]
  const faults: readonly (readonly [boolean, string])[] = [
    [
      !ways.includes(true),
      'say what to replay: TOPIC-PARTITION-OFFSET..., --reason, --topic, --all',
    ],
    [
      ways.filter((way) => way).length > 1,
      'TOPIC-PARTITION-OFFSET..., --reason with --topic, and --all exclude each other',
    ],
    [yes && dryRun, '--yes and --dry-run exclude each other'],
  ]
  const fault = faults.find(([isFault]) => isFault)
  if (fault) throw new LensError('configuration_invalid', fault[1])
  const chosen = places.length > 0 ? new Set(places.map(parsePlace)) : null
  return { topic, reason, places: chosen, send: yes }
}

/**
 * Appends the records of dead letters to where they came from, each once, however many stages
 * refused it. True when all that was chosen was sent, or would be.
 */
export async function replayDeadLetters(
  { bus, codec }: Parts,
  choice: ReplayChoice,
  write: Write,
): Promise<boolean> {
  const isFirst = createFirstTime()
  const absent = new Set(choice.places)
  const counts = await bus.partitionCounts(TOPICS.map(({ name }) => name))
  const sink = choice.send ? await bus.sink() : null
  const sum = { records: 0, bytes: 0, refused: 0 }

  function isChosen(letter: DeadLetter): boolean {
    const place = placeOf(letter)
    if (choice.places ? !choice.places.has(place) : !fits(choice, letter)) return false
    absent.delete(place)
    return isFirst(`${letter.topic}-${letter.partition}`, letter.offset)
  }

  function isSendable(letter: DeadLetter): boolean {
    const why = refusal(letter, counts)
    if (why === null) return true
    sum.refused++
    write(`refused ${placeOf(letter)}: ${why}\n`)
    return false
  }

  try {
    await scanDeadLetters({ bus, codec }, async (letters) => {
      for (const group of groupsOf(letters.filter(isChosen).filter(isSendable))) {
        const landed = sink && (await append(sink, group, sum.records))
        write(group.map((letter, i) => sentLine(letter, landed, i)).join(''))
        sum.records += group.length
        sum.bytes += group.reduce((bytes, letter) => bytes + bytesOf(letter), 0)
      }
    })
  } finally {
    await sink?.close()
  }
  for (const place of absent) {
    write(`there is no dead letter of ${place}; dead-letters list shows all\n`)
  }
  const { records, bytes, refused } = sum
  const done = sink ? 'sent' : 'to send'
  write(`${done}: ${records} (${bytes} bytes); refused: ${refused}; not found: ${absent.size}\n`)
  if (!sink) write('nothing was sent: --yes sends\n')
  return refused + absent.size === 0
}

/** What the broker's batch adds to a record. */
const OVERHEAD_BYTES = 1024

/** Why a record cannot be sent again, or null. */
function refusal(letter: DeadLetter, counts: Readonly<Record<string, number>>): string | null {
  const { topic, partition, reason, detail, value } = letter
  const most = TOPICS.find(({ name }) => name === topic)?.messageBytesMax ?? 0
  if (partition >= (counts[topic] ?? 0)) return `there is no partition ${topic}-${partition} now`
  if (reason === 'empty') return 'the record had no value: there is nothing to send'
  if (value === null) return `the dead letter does not hold its value (${detail})`
  if (bytesOf(letter) + OVERHEAD_BYTES > most) {
    return `its ${bytesOf(letter)} bytes are more than ${topic} takes uncompressed, ${most}`
  }
  return null
}

function bytesOf({ key, value }: DeadLetter): number {
  return (key?.length ?? 0) + (value?.length ?? 0)
}

/** Well below what every topic takes in one append. */
const APPEND_BYTES_MAX = 768 * 1024

/** Groups of one partition, each small enough for one append; a larger record goes alone. */
function groupsOf(letters: readonly DeadLetter[]): DeadLetter[][] {
  const groups: DeadLetter[][] = []
  const open = new Map<string, { group: DeadLetter[]; bytes: number }>()
  for (const letter of letters) {
    const to = `${letter.topic}-${letter.partition}`
    let last = open.get(to)
    if (!last || last.bytes + bytesOf(letter) > APPEND_BYTES_MAX) {
      last = { group: [], bytes: 0 }
      open.set(to, last)
      groups.push(last.group)
    }
    last.group.push(letter)
    last.bytes += bytesOf(letter)
  }
  return groups
}

/** One append is never tried again: what it sent would be counted twice. */
async function append(
  sink: Sink,
  group: readonly DeadLetter[],
  sentBefore: number,
): Promise<Appended> {
  const { topic, partition } = group[0]!
  const records = group.map(({ key, value }): NewRecord => ({ key, value: value! }))
  try {
    return await sink.append(topic, partition, records)
  } catch (cause) {
    if (!(cause instanceof LensError)) throw cause
    const isUnknown = cause.code === 'send_outcome_unknown'
    const fate = isUnknown
      ? `may or may not be in ${topic}; look with npm run lens -- tail before you replay them`
      : 'were not sent'
    const places = group.map(placeOf).join(', ')
    const message = `${cause.message}\n${sentBefore} records were sent before; ${places} ${fate}`
    throw new LensError(cause.code, message, { cause })
  }
}

function sentLine(letter: DeadLetter, landed: Appended | null, i: number): string {
  const { topic, partition, reason } = letter
  const what = `${placeOf(letter)} (${reason}, ${bytesOf(letter)} bytes)`
  if (!landed) return `would send ${what}\n`
  return `sent ${what} as ${topic}-${partition}-${landed.baseOffset + i}\n`
}
