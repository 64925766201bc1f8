import { LensError } from '../core/errors.ts'
import {
  type FoundLetter,
  type Parts,
  placeOf,
  scanDeadLetters,
  utc,
  type Write,
} from './dead-letter-scan.ts'

/** Writes everything about the dead letters of one record; `raw`: the bytes of its value only. */
export async function showDeadLetter(
  parts: Parts,
  { place, raw }: { readonly place: string; readonly raw: boolean },
  write: Write,
): Promise<void> {
  const byStage = new Map<string, FoundLetter>()
  await scanDeadLetters(parts, (letters) => {
    for (const letter of letters) if (placeOf(letter) === place) byStage.set(letter.stage, letter)
  })
  const found = [...byStage.values()]
  if (found.length === 0) throw notThere(place)
  if (raw) write(valueIn(place, found))
  else write(found.map(asText).join('\n'))
}

function notThere(place: string): LensError {
  const message = `there is no dead letter of ${place}; npm run lens -- dead-letters list shows all`
  return new LensError('configuration_invalid', message)
}

function valueIn(place: string, letters: readonly FoundLetter[]): Uint8Array {
  const value = letters.find((letter) => letter.value !== null)?.value
  if (value) return value
  const message = `the dead letter of ${place} holds no value: ${letters[0]!.detail}`
  throw new LensError('configuration_invalid', message)
}

function asText(letter: FoundLetter): string {
  const { stage, reason, detail, key, value, seen_at, writtenMs } = letter
  return [
    `from      ${placeOf(letter)}`,
    `stage     ${stage}`,
    `reason    ${reason}`,
    `detail    ${detail}`,
    `appended  ${utc(seen_at)}`,
    `refused   ${utc(writtenMs)}`,
    `key       ${bytesAsText(key)}`,
    `value     ${bytesAsText(value)}`,
    '',
  ].join('\n')
}

const SHOWN_BYTES_MAX = 1024
const ROW_BYTES = 16

function bytesAsText(bytes: Uint8Array | null): string {
  if (bytes === null) return 'none'
  const more = bytes.length - SHOWN_BYTES_MAX
  const rest = more > 0 ? [`  and ${more} bytes more`] : []
  return [`${bytes.length} bytes`, ...hexRows(bytes.subarray(0, SHOWN_BYTES_MAX)), ...rest].join(
    '\n',
  )
}

/** `  00000010  7b 22 61 ...  {"a`: what is not printable ASCII is a dot. */
function hexRows(bytes: Uint8Array): string[] {
  return Array.from({ length: Math.ceil(bytes.length / ROW_BYTES) }, (_, i) => {
    const row = Buffer.from(bytes.subarray(i * ROW_BYTES, (i + 1) * ROW_BYTES))
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = row.toString('latin1').replace(/[^ -~]/g, '.')
    const at = (i * ROW_BYTES).toString(16).padStart(8, '0')
    return `  ${at}  ${hex.padEnd(ROW_BYTES * 3 - 1)}  ${text}`
  })
}
