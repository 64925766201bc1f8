import type { ResourceSample, TokenEvents } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES } from '../../schemas/topics.ts'
import {
  addCounts,
  COUNTED,
  type Counts,
  countsOfRaw,
  noCounts,
  READINGS_AT,
  REQUESTS_AT,
} from './audit-counts.ts'
import type { Covered } from './audit-cover.ts'
import { type Findings, span } from './audit-findings.ts'
import { FLEET, type Tile } from './audit-tiles.ts'
import type { OffsetSet } from './offset-set.ts'

/** What one raw partition holds, and what became of it. */
export interface SourceTotals {
  ranges: number
  /** Records of the topic. */
  raw: number
  /** Of these, in slices. */
  counted: number
  /** Of these, in lens.dead-letters, each once. */
  dead: number
  /** Ended requests, or readings, in the raw records and in the slices. */
  rawRequests: number
  slicedRequests: number
}

/** Compares the raw records of a partition with the ranges that cover them. */
export interface RawCheck {
  /** In order; `value` is null of a record that cannot be decoded. */
  take(offset: number, value: unknown): void
  /** After the last record. */
  end(): SourceTotals
}

interface Source extends Covered {
  readonly topic: string
  readonly partition: number
  /** Offsets in [from, end) that are in lens.dead-letters. */
  readonly letters: OffsetSet
}

/** Before the first record. */
export function createRawCheck(source: Source, findings: Findings): RawCheck {
  const { topic, tiles, letters } = source
  const name = `${topic}-${source.partition}`
  const totals: SourceTotals = {
    ...{ ranges: tiles.length, raw: 0, counted: 0, dead: 0, rawRequests: 0, slicedRequests: 0 },
  }
  const isSamples = topic === RESOURCE_SAMPLES
  const main = isSamples ? READINGS_AT : REQUESTS_AT
  // A sample joins the groupings whose dimensions it carries, and the fleet's.
  const joins = (grouping: string) => !isSamples || grouping === FLEET
  let at = 0
  let here = emptyTile()
  let strays: { first: number; last: number; count: number } | null = null

  function endTile(tile: Tile): void {
    const range = span(tile.from, tile.to)
    const { raw, dead, counts } = here
    if (raw !== tile.records) {
      findings.add('records', name, `${range} counts ${tile.records} records, the topic has ${raw}`)
    }
    if (dead !== tile.deadLetters) {
      const text = `${range} counts ${tile.deadLetters} dead letters, lens.dead-letters has ${dead}`
      findings.add('dead_letters', name, text)
    }
    const groupings = groupingsOf(tile).filter(joins)
    for (const grouping of groupings) sayDifference(range, grouping, counts, tile)
    if (groupings.length === 0 && !isSamples && counts.some((n) => n > 0)) {
      findings.add('counted', name, `${range} has no slices at all`)
    }
    totals.counted += raw - dead
    totals.rawRequests += counts[main]!
    totals.slicedRequests += tile.counts.get(groupings[0] ?? FLEET)?.[main] ?? 0
    here = emptyTile()
  }

  /** Its own, and those that both its neighbours have: groupings change between two of them. */
  function groupingsOf(tile: Tile): string[] {
    const [before, after] = [tiles[at - 1], tiles[at + 1]]
    const around = [...(before?.counts.keys() ?? [])].filter((each) => after?.counts.has(each))
    return [...new Set([...tile.counts.keys(), ...around])]
  }

  function sayDifference(range: string, grouping: string, counts: Counts, tile: Tile): void {
    const sliced = tile.counts.get(grouping) ?? noCounts()
    for (const [i, row] of COUNTED.entries()) {
      if (counts[i] === sliced[i]) continue
      const text = `${counts[i]} ${row.name} in the raw records, ${sliced[i]} in the slices`
      findings.add('counted', name, `${range}: ${text} of grouping [${grouping}]`)
    }
  }

  function sayStrays(): void {
    if (!strays) return
    const { first, last, count } = strays
    findings.add('gap', name, `${count} raw records in ${span(first, last + 1)} are in no range`)
    strays = null
  }

  /** Ends the tiles before an offset. */
  function moveTo(offset: number): void {
    while (at < tiles.length && tiles[at]!.to <= offset) {
      sayStrays()
      endTile(tiles[at]!)
      at++
    }
  }

  return {
    take(offset, value) {
      moveTo(offset)
      totals.raw++
      const isDead = letters.has(offset)
      if (isDead) totals.dead++
      const tile = tiles[at]
      if (!tile || tile.from > offset) {
        strays = { first: strays?.first ?? offset, last: offset, count: (strays?.count ?? 0) + 1 }
        return
      }
      sayStrays()
      here.raw++
      if (isDead) here.dead++
      else if (value !== null) {
        addCounts(here.counts, countsOfRaw(topic, value as TokenEvents | ResourceSample))
      } else {
        const text = `the record at ${offset} cannot be decoded and is not in lens.dead-letters`
        findings.add('dead_letters', name, text)
      }
    },
    end() {
      moveTo(Number.POSITIVE_INFINITY)
      sayStrays()
      const lost = letters.size() - totals.dead
      if (lost > 0) {
        findings.add('dead_letters', name, `${lost} dead letters of records that are not there`)
      }
      return totals
    },
  }
}

function emptyTile(): { raw: number; dead: number; readonly counts: Counts } {
  return { raw: 0, dead: 0, counts: noCounts() }
}
