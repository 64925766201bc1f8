import { expect } from 'chai'
import { AGGREGATES, DEAD_LETTERS, TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { LensError } from '../../../services/core/errors.ts'
import { type ListWish, listDeadLetters } from '../../../services/lens/dead-letter-list.ts'
import { replayChoice } from '../../../services/lens/dead-letter-replay.ts'
import { showDeadLetter } from '../../../services/lens/dead-letter-show.ts'
import { deadLetters } from '../../../services/lens/dead-letters.ts'
import {
  createDeadLetterFixture,
  type DeadLetterFixture,
  failureOf,
  MIB,
} from './dead-letter-fixture.ts'

describe('lens/dead-letters', () => {
  let fixture: DeadLetterFixture

  beforeEach(async () => {
    fixture = await createDeadLetterFixture()
  })

  async function show(place: string, raw = false): Promise<void> {
    const { codec, recording, write } = fixture
    await showDeadLetter({ bus: recording.memory, codec }, { place, raw }, write)
  }

  describe('list', () => {
    it('shows where each came from, oldest first, and the totals by reason', async () => {
      await fixture.refuse([{ offset: 12, reason: 'truncated' }, { offset: 7 }, { offset: 9 }])
      await fixture.refuse(
        [{ topic: AGGREGATES, partition: 2, offset: 8, value: null }],
        'triggers',
      )
      expect(await fixture.list()).equal(`\
topic-partition-offset  stage      reason     appended (UTC)            bytes
lens.token-events-0-7   windowing  bad_magic  2026-11-24T12:00:00.007Z      5
lens.aggregates-2-8     triggers   bad_magic  2026-11-24T12:00:00.008Z      -
lens.token-events-0-9   windowing  bad_magic  2026-11-24T12:00:00.009Z      5
lens.token-events-0-12  windowing  truncated  2026-11-24T12:00:00.012Z      6

bad_magic  3
truncated  1

dead letters: 4
`)
    })

    it('shows a repeat once, and what another stage says of the same record too', async () => {
      await fixture.refuse([{ offset: 1 }, { offset: 2 }])
      await fixture.refuse([{ offset: 1 }, { offset: 2 }, { offset: 3 }])
      await fixture.refuse([{ offset: 1 }], 'other')
      const { letters, ...sums } = JSON.parse(await fixture.list({ json: true }))
      const shown = letters.map((row: { offset: number; stage: string }) => [row.offset, row.stage])
      expect(shown).deep.equal([
        ...[
          [1, 'other'],
          [1, 'windowing'],
        ],
        ...[
          [2, 'windowing'],
          [3, 'windowing'],
        ],
      ])
      expect(sums).deep.equal({ totals: { bad_magic: 4 }, count: 4, repeats: 2, unreadable: 0 })
      expect(await fixture.list()).contain('dead letters: 4; repeats left out: 2\n')
    })

    it('keeps the newest up to the limit, and counts all', async () => {
      await fixture.refuse(Array.from({ length: 2_500 }, (_, offset) => ({ offset })))
      const { letters, count } = JSON.parse(await fixture.list({ json: true, limit: 2 }))
      expect(letters.map(({ offset }: { offset: number }) => offset)).deep.equal([2_498, 2_499])
      expect(count).equal(2_500)
      expect(await fixture.list({ limit: 2 })).contain('shown: the newest 2, --limit shows more')
    })

    it('shows those of one topic or reason only', async () => {
      await fixture.refuse([{ offset: 1 }, { offset: 2, reason: 'truncated' }])
      await fixture.refuse([{ topic: AGGREGATES, offset: 3, reason: 'truncated' }], 'triggers')
      const froms = async (wish: Partial<ListWish>) =>
        JSON.parse(await fixture.list({ json: true, ...wish })).letters.map(
          (row: { from: string }) => row.from,
        )
      expect(await froms({ reason: 'truncated' })).deep.equal([
        ...[`${TOKEN_EVENTS}-0-2`, `${AGGREGATES}-0-3`],
      ])
      expect(await froms({ reason: 'truncated', topic: AGGREGATES })).deep.equal([
        `${AGGREGATES}-0-3`,
      ])
    })

    it('says so when there are none', async () => {
      expect(await fixture.list()).equal('dead letters: 0\n')
      await fixture.refuse([{ offset: 1 }])
      expect(await fixture.list({ reason: 'too_large' })).equal('dead letters: 0\n')
    })

    it('reads a dead letter that is larger than what stages decode', async () => {
      await fixture.refuse([{ offset: 1, value: Buffer.alloc(2 * MIB), reason: 'too_large' }])
      const { letters } = JSON.parse(await fixture.list({ json: true }))
      expect(letters[0].bytes).equal(2 * MIB)
    })

    it('counts what is no dead letter', async () => {
      await fixture.refuse([{ offset: 1 }])
      const sink = await fixture.recording.memory.sink()
      await sink.append(DEAD_LETTERS, 1, [{ key: null, value: Buffer.from('junk') }])
      expect(await fixture.list()).contain(`dead letters: 1; other records in ${DEAD_LETTERS}: 1\n`)
    })

    it('counts each once when a rebalance delivers them all again', async () => {
      const { memory: bus } = fixture.recording
      const sink = await bus.sink()
      const junk = Array.from({ length: 1_200 }, () => ({ key: null, value: Buffer.from('junk') }))
      await sink.append(DEAD_LETTERS, 1, junk)
      let rebalances = 0
      const prepare = async () => {
        if (rebalances++ < 2) bus.rebalance()
      }
      const codec = { ...fixture.codec, prepare }
      await listDeadLetters({ bus, codec }, { limit: 9, json: true }, fixture.write)
      expect(rebalances).greaterThan(2)
      expect(JSON.parse(fixture.text())).include({ unreadable: 1_200 })
    })

    it('says which topic is missing', async () => {
      const { memory } = fixture.recording
      const bus = { ...memory, partitionCounts: async () => ({}) }
      const error = await failureOf(
        listDeadLetters({ bus, codec: fixture.codec }, { limit: 1, json: false }, fixture.write),
      )
      expect(error).instanceOf(LensError).property('message').contain('npm run lens -- topics')
    })
  })

  describe('show', () => {
    it('shows the reason, the times, the key and the value', async () => {
      const value = Buffer.from([...Buffer.from('{"request_id":"r'), 0x1b, 0xff])
      await fixture.refuse([{ offset: 1 }, { offset: 41, value, key: null }])
      await show(`${TOKEN_EVENTS}-0-41`)
      expect(fixture.text()).equal(`\
from      lens.token-events-0-41
stage     windowing
reason    bad_magic
detail    the value does not begin with the magic byte 0 and a schema id
appended  2026-11-24T12:00:00.041Z
refused   2026-11-24T12:00:00.000Z
key       none
value     18 bytes
  00000000  7b 22 72 65 71 75 65 73 74 5f 69 64 22 3a 22 72  {"request_id":"r
  00000010  1b ff                                            ..
`)
    })

    it('shows the first 1024 bytes', async () => {
      const value = Buffer.from(Array.from({ length: 3_000 }, (_, i) => i % 256))
      await fixture.refuse([{ offset: 1, value }])
      await show(`${TOKEN_EVENTS}-0-1`)
      expect(fixture.text()).contain('\n  000003f0  f0').and.contain('\n  and 1976 bytes more\n')
      expect(fixture.text()).not.contain('00000400')
    })

    it('writes exactly the bytes of the value, raw', async () => {
      const value = Buffer.from(Array.from({ length: 3_000 }, (_, i) => i % 256))
      await fixture.refuse([{ offset: 1, value }])
      await show(`${TOKEN_EVENTS}-0-1`, true)
      expect(fixture.bytes().equals(value)).equal(true)
    })

    it('says what to do when there is no such letter, or no value', async () => {
      await fixture.refuse([{ offset: 1, value: Buffer.alloc(5 * MIB), reason: 'too_large' }])
      expect(await failureOf(show(`${TOKEN_EVENTS}-0-2`)))
        .property('message')
        .contain('dead-letters list')
      expect(await failureOf(show(`${TOKEN_EVENTS}-0-1`, true)))
        .property('message')
        .contain('more than a dead letter holds')
    })
  })

  describe('arguments', () => {
    const given = { places: [], all: false, yes: false, dryRun: false }

    it('choose one way, and send only by --yes', () => {
      const place = `${TOKEN_EVENTS}-3-1041`
      const none = { topic: undefined, reason: undefined }
      expect(replayChoice({ ...given, places: [place] })).deep.equal({
        ...{ ...none, places: new Set([place]), send: false },
      })
      expect(replayChoice({ ...given, all: true, yes: true })).deep.equal({
        ...{ ...none, places: null, send: true },
      })
    })

    it('are refused with what to do', async () => {
      const place = `${TOKEN_EVENTS}-3-1041`
      const cases: readonly (readonly [readonly string[], RegExp])[] = [
        [['nope'], /no nope; one of list, show, replay/],
        [['constructor'], /no constructor; one of/],
        [['list', '--nope'], /Unknown option '--nope'/],
        [['list', place], /Unexpected argument/],
        [['list', '--topic', 'lens.nope'], /--topic .*lens\.token-events/],
        [['list', '--reason', 'nope'], /--reason .*bad_magic/],
        [['list', '--limit', '0'], /--limit/],
        [['show'], /show takes one TOPIC-PARTITION-OFFSET, not 0/],
        [['show', place, place], /not 2/],
        [['show', TOKEN_EVENTS], /is no TOPIC-PARTITION-OFFSET; write lens\.token-events-3-1041/],
        [['replay'], /say what to replay/],
        [['replay', '--yes'], /say what to replay/],
        [['replay', '--all', place], /exclude each other/],
        [['replay', '--all', '--reason', 'truncated'], /exclude each other/],
        [['replay', '--yes', '--dry-run', place], /--yes and --dry-run exclude/],
        [['replay', '--yes', 'nope'], /"nope" is no TOPIC-PARTITION-OFFSET/],
      ]
      for (const [argv, message] of cases) {
        const error = await failureOf(deadLetters(argv))
        expect(error, argv.join(' ')).instanceOf(LensError)
        expect((error as Error).message, argv.join(' ')).match(message)
      }
    })
  })
})
