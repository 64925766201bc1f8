import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { mergeSlices } from '../../../services/bus/slice-reader.ts'
import { createAggregate, encodeSlice } from '../../../services/core/windows/slice.ts'
import { createWindows, type Windows } from '../../../services/statistics/windows.ts'
import { NOON_MS, sliceRecordOf } from '../../records.ts'

const POLICY = {
  sizesMs: [60_000, 300_000, 900_000],
  hopMs: 60_000,
  latenessMs: 120_000,
  ownsFleet: false,
  fleetSinceMs: Number.NEGATIVE_INFINITY,
  lateMs: Number.NEGATIVE_INFINITY,
}

function setUp(more: Partial<typeof POLICY> = {}) {
  const counts: Record<string, number> = {}
  const count = (name: string, times: number, series: string) => {
    counts[name] = (counts[name] ?? 0) + times
    if (times > 0) lateSeries.add(series)
  }
  const lateSeries = new Set<string>()
  const windows = createWindows({ ...POLICY, ...more }, { count, mergeSlices })
  const never = Number.NEGATIVE_INFINITY
  windows.resume({ throughMs: never, wholeMs: never, fleetIncomplete: [] })
  return { windows, counts, lateSeries }
}

/** `requests` ended requests in the slice that starts `s` seconds after noon. */
function slice(s: number, requests = 1, series: Record<string, string> = { model: 'm' }) {
  const aggregate = { ...createAggregate(), requests }
  const source = { source_topic: 'raw', source_partition: 0, from: 0, to: 1, closing: null }
  return sliceRecordOf({ ...source, series, slices: [encodeSlice(NOON_MS + s * 1000, aggregate)] })
}

/** end-in-seconds/size: requests (revision), of one-minute windows unless told otherwise. */
function show(aggregates: readonly Aggregate[], sizeS = 60): string[] {
  return aggregates
    .filter(({ size_s }) => size_s === sizeS)
    .map(({ end, requests, revision }) => `${(end - NOON_MS) / 1000}: ${requests} (${revision})`)
}

/** Closed up to one second after noon, passed by events up to another. */
function advance(windows: Windows, closedS: number, passedS: number): Aggregate[] {
  const passed = NOON_MS + passedS * 1000
  const closed = NOON_MS + closedS * 1000
  return [...windows.advance({ closed, whole: closed, passed, late: passed })]
}

function to(windows: Windows, s: number): Aggregate[] {
  return advance(windows, s, s)
}

describe('statistics/windows', () => {
  //  slices   |0    |50   |60
  //  windows  [0 ........ 60)[60 ....... 120)
  it('puts a slice into the half-open windows that hold it', () => {
    const { windows } = setUp()
    for (const s of [0, 50, 60]) windows.merge(slice(s), 0)
    const results = to(windows, 125)
    expect(show(results)).deep.equal(['60: 2 (0)', '120: 1 (0)'])
    expect(show(results, 300)).deep.equal(['60: 2 (0)', '120: 3 (0)'])
  })

  it('closes nothing before the watermark has passed the end', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    expect(to(windows, 59)).deep.equal([])
    expect(show(to(windows, 60))).deep.equal(['60: 1 (0)'])
  })

  it('publishes empty windows as long as the largest window holds the series', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    const ends = show(to(windows, 2000)).length
    expect(ends).equal(15)
  })

  it('corrects a closed window at the next step, once for all late slices', () => {
    const { windows, counts } = setUp()
    windows.merge(slice(0), 0)
    to(windows, 70)
    windows.merge(slice(10), 0)
    windows.merge(slice(20, 3), 0)
    expect(show(to(windows, 79))).deep.equal([])
    expect(show(to(windows, 80))).deep.equal(['60: 5 (1)'])
    windows.merge(slice(30), 0)
    expect(show(to(windows, 90))).deep.equal(['60: 6 (2)'])
    expect(counts.late_slice).equal(3)
  })

  it('opens a window for a late slice of a new series', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    to(windows, 70)
    windows.merge(slice(0, 4, { model: 'late' }), 0)
    expect(show(to(windows, 80))).deep.equal(['60: 4 (0)'])
  })

  it('leaves a window alone that is over, and counts what it missed', () => {
    const { windows, counts } = setUp()
    windows.merge(slice(0), 0)
    to(windows, 180)
    windows.merge(slice(10), 0)
    const results = to(windows, 190)
    expect(show(results)).deep.equal([])
    expect(show(results, 300)).deep.equal(['120: 2 (1)', '180: 2 (1)'])
    expect(counts.too_late_window).equal(3)
  })

  // The clock has closed the window, events have not passed it: its correction waits for them.
  it('publishes the correction that is still due before it forgets the window', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    advance(windows, 600, 0)
    windows.merge(slice(10), 0)
    const late = NOON_MS + 180_000
    const closed = NOON_MS + 600_000
    const passed = { closed, whole: closed, passed: NOON_MS }
    expect(show([...windows.advance({ ...passed, late })])).deep.equal(['60: 2 (1)'])
    windows.merge(slice(20), 0)
    expect(show(advance(windows, 700, 700)).slice(0, 1)).deep.equal(['660: 0 (0)'])
  })

  it('drops a slice that no window can take any more', () => {
    const { windows, counts, lateSeries } = setUp()
    windows.merge(slice(0), 0)
    windows.merge(slice(0, 1, { model: 'n' }), 0)
    to(windows, 1100)
    windows.merge(slice(10, 7), 0)
    expect([...lateSeries]).deep.equal(['{"model":"m"}'])
    expect(counts).include({ too_late_slice: 1, too_late_request: 7 })
    expect(windows.seriesCount()).equal(0)
  })

  it('gives the silent fleet empty windows, but not for more than an hour back', () => {
    const { windows } = setUp({ ownsFleet: true })
    expect(to(windows, 65)).deep.equal([])
    expect(show(to(windows, 185))).deep.equal(['120: 0 (0)', '180: 0 (0)'])
    expect(show(to(windows, 86_400)).length).equal(60)
  })

  it('shows live only what changed, in the first open windows that hold it', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    windows.merge(slice(0, 2, { model: 'n' }), 0)
    to(windows, 40)
    expect(show([...windows.live(POLICY.sizesMs)])).deep.equal(['60: 1 (0)', '60: 2 (0)'])
    expect([...windows.live(POLICY.sizesMs)]).deep.equal([])
    windows.merge(slice(30), 0)
    const live = [...windows.live(POLICY.sizesMs)]
    expect(show(live)).deep.equal(['60: 2 (0)'])
    expect(live.every(({ final }) => !final)).equal(true)
  })

  it('shows live what comes before the windows before it have closed, and not those', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    windows.merge(slice(60), 0)
    windows.merge(slice(120), 0)
    to(windows, 65)
    const live = [...windows.live(POLICY.sizesMs)]
    expect(show(live)).deep.equal(['120: 1 (0)', '180: 1 (0)'])
    expect(show(live, 300)).deep.equal(['120: 2 (0)', '180: 3 (0)'])
  })

  it('shows a size what it has not shown, in the window that is open by then', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    windows.merge(slice(60), 0)
    expect(show([...windows.live([60_000])])).deep.equal(['60: 1 (0)', '120: 1 (0)'])
    to(windows, 65)
    expect([...windows.live([60_000])]).deep.equal([])
    const live = [...windows.live(POLICY.sizesMs)]
    expect(show(live)).deep.equal([])
    expect(show(live, 300)).deep.equal(['120: 2 (0)'])
    expect([...windows.live(POLICY.sizesMs)]).deep.equal([])
  })

  it('keeps the floor of what it still needs', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 17)
    windows.merge(slice(0, 1, { model: 'n' }), 12)
    windows.merge(slice(600), 40)
    expect(windows.floorOffset()).equal(12)
    to(windows, 1100)
    expect(windows.floorOffset()).equal(40)
  })

  it('closes at the clock while nobody sends, but takes the data that comes after', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    expect(show(advance(windows, 86_400, 5)).length).equal(15)
    windows.merge(slice(70, 4), 0)
    windows.merge(slice(20), 0)
    // As its own events pass the ends, not with each of them.
    expect(show(advance(windows, 86_400, 59))).deep.equal([])
    expect(show(advance(windows, 86_400, 65))).deep.equal(['60: 2 (1)'])
    // And what is left, when the clock goes on.
    expect(show(advance(windows, 86_460, 65))[0]).equal('120: 4 (1)')
  })

  describe('closed before every partition has passed them', () => {
    /** Of one minute: end: requests (revision), and a mark when incomplete. */
    function marked(aggregates: readonly Aggregate[]): string[] {
      const minutes = aggregates.filter(({ size_s }) => size_s === 60)
      return show(minutes).map((text, i) => `${text}${minutes[i]!.incomplete ? ' incomplete' : ''}`)
    }

    function held(windows: Windows, closedS: number, wholeS: number): string[] {
      const [closed, whole] = [NOON_MS + closedS * 1000, NOON_MS + wholeS * 1000]
      return marked([...windows.advance({ closed, whole, passed: closed, late: whole })])
    }

    it('are incomplete, and published once more when the last one has', () => {
      const { windows } = setUp()
      windows.merge(slice(0), 0)
      windows.merge(slice(60, 5), 0)
      expect(held(windows, 130, 60)).deep.equal(['60: 1 (0)', '120: 5 (0) incomplete'])
      expect(held(windows, 135, 110)).deep.equal([])
      expect(held(windows, 135, 120)).deep.equal(['120: 5 (1)'])
      expect(held(windows, 135, 130)).deep.equal([])
    })

    it('are corrected and completed in one', () => {
      const { windows } = setUp()
      windows.merge(slice(0), 0)
      expect(held(windows, 65, 0)).deep.equal(['60: 1 (0) incomplete'])
      windows.merge(slice(10, 2), 0)
      expect(held(windows, 75, 0)).deep.equal(['60: 3 (1) incomplete'])
      windows.merge(slice(20, 4), 0)
      expect(held(windows, 85, 60)).deep.equal(['60: 7 (2)'])
    })

    it('are completed by the next owner, those of the silent fleet too', () => {
      const { windows: before } = setUp({ ownsFleet: true, fleetSinceMs: NOON_MS })
      held(before, 60, 60)
      held(before, 180, 60)
      held(before, 9_000, 60)
      const { windows } = setUp({ ownsFleet: true, fleetSinceMs: before.fleetSince() })
      windows.resume({
        throughMs: before.through(),
        wholeMs: before.wholeMs(),
        fleetIncomplete: before.fleetIncomplete(),
      })
      expect(held(windows, 9_000, 120)).deep.equal(['120: 0 (1)'])
      expect(held(windows, 9_000, 5_460)).deep.equal(['180: 0 (1)', '5460: 0 (1)'])
      expect(held(windows, 9_000, 5_520)).deep.equal(['5520: 0 (1)'])
      expect(windows.fleetIncomplete()).deep.equal([[NOON_MS + 5_580_000, NOON_MS + 9_000_000]])
    })

    it('are completed by the next owner in the sizes in which they were published', () => {
      const { windows: before } = setUp({ ownsFleet: true, fleetSinceMs: NOON_MS })
      held(before, 0, 0)
      // No windows are made up for the first of these hours, so none of its empty minutes is there.
      held(before, 9_000, 0)
      before.merge(slice(0, 1, {}), 0)
      expect(held(before, 9_010, 0)).deep.equal(['60: 1 (1) incomplete'])
      const minute = (n: number) => NOON_MS + n * 60_000
      const runs = before.fleetIncomplete()
      expect(runs.slice(0, 3)).deep.equal([
        [minute(1), minute(1)],
        [minute(2), minute(5), 300_000, 900_000],
        [minute(6), minute(15), 900_000],
      ])
      const { windows } = setUp({ ownsFleet: true, fleetSinceMs: before.fleetSince() })
      windows.merge(slice(0, 1, {}), 0)
      const [throughMs, wholeMs] = [before.through(), before.wholeMs()]
      windows.resume({ throughMs, wholeMs, fleetIncomplete: runs })
      const mine = held(windows, 9_010, 600)
      expect(mine.filter((line) => !line.startsWith('60:'))).deep.equal([])
      expect(held(before, 9_010, 600)).deep.equal(['60: 1 (2)'])
    })
  })

  it('closes nothing again that an earlier owner has closed', () => {
    const { windows } = setUp()
    windows.merge(slice(0), 0)
    const throughMs = NOON_MS + 120_000
    windows.resume({ throughMs, wholeMs: throughMs, fleetIncomplete: [] })
    expect(show(to(windows, 185))).deep.equal(['180: 0 (0)'])
  })
})
