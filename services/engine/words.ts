// A word a token, so that a reader can count tokens by counting words. Some are not ASCII, because
// a client must survive a character that is split between two reads.
const WORDS = [
  'the',
  'first',
  'token',
  'waits',
  'longer',
  'than',
  'all',
  'others',
  'while',
  'naïve',
  'clients',
  'count',
  'every',
  'chunk',
  'as',
  'one',
  'and',
  'a',
  'patient',
  'lens',
  'sees',
  'each',
  'gap',
  '流れ',
  'between',
  'them',
  'grow',
  'when',
  'many',
  'requests',
  '🙂',
  'share',
  'an',
  'engine',
]

/** The text of `count` tokens from the one with index `first` on. */
export function tokenText(first: number, count: number): string {
  let text = ''
  for (let index = first; index < first + count; index++) {
    text += `${index === 0 ? '' : ' '}${WORDS[index % WORDS.length]}`
  }
  return text
}
