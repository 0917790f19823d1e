import { describe, expect, it } from 'vitest'
import { hour, seenRows, ticks, widthOf, xOf } from '../guide/timeline'
import type { MeetingRow } from '../rows'
import {
  addDays,
  clicked,
  dayLine,
  dragged,
  gripAt,
  lanes,
  longest,
  lowerHeight,
  selected,
  snap,
  stack,
  step,
  upperHeight,
} from './day'
import { daysLeft, diskTone } from './disk'
import { occurrenceOf } from './plan'
import { movable } from './schedule'
import { across, byHand, meetingsOf, rowsOf } from './rows'

// A place where clocks change; the rules of the server have tests of their own.
// This file has a process of its own.
process.env['TZ'] = 'Europe/Berlin'

const at = (text: string): number => new Date(text).getTime()
const minute = 60_000

describe('the line of a day', () => {
  it('goes from midnight to midnight, in days of 23, 24 and 25 hours', () => {
    for (const [day, hours] of [
      ['2026-11-26T15:00', 24],
      ['2026-03-29T15:00', 23],
      ['2026-10-25T15:00', 25],
    ] as const) {
      const line = dayLine(at(day), 100)
      expect(new Date(line.from).getHours()).toBe(0)
      expect((line.to - line.from) / hour, day).toBe(hours)
      expect(widthOf(line)).toBe(hours * 100)
      expect(ticks(line, line.from, line.to)).toHaveLength(hours)
    }
  })
  it('leads to the next and the last day over a change of clocks and a leap day', () => {
    expect(addDays(at('2026-03-28T15:00'), 1)).toBe(at('2026-03-29T00:00'))
    expect(addDays(at('2026-03-29T15:00'), 1)).toBe(at('2026-03-30T00:00'))
    expect(addDays(at('2026-10-26T00:00'), -1)).toBe(at('2026-10-25T00:00'))
    expect(addDays(at('2028-02-28T09:00'), 1)).toBe(at('2028-02-29T00:00'))
  })
  it('cuts what lasts over midnight at its ends', () => {
    const line = dayLine(at('2026-11-26T12:00'), 100)
    const over = { start: at('2026-11-25T23:00'), end: at('2026-11-26T01:30') }
    expect(across(over, line)).toEqual({ left: 0, width: 150 })
    expect(across({ start: at('2026-11-26T23:00'), end: at('2026-11-27T05:00') }, line)).toEqual({
      left: 2300,
      width: 100,
    })
  })
})

describe('lanes', () => {
  const span = (start: number, end: number) => ({ start, end })
  it('are one for what follows one another, and more for what overlaps', () => {
    expect(lanes([span(0, 10), span(10, 20)]).count).toBe(1)
    const { laid, count } = lanes([span(5, 15), span(0, 10), span(10, 20), span(12, 14)])
    expect(count).toBe(3)
    expect(laid.map((l) => [l.item.start, l.lane])).toEqual([
      [0, 0],
      [5, 1],
      [10, 0],
      [12, 2],
    ])
    expect(lanes([]).count).toBe(0)
  })
  it('never put two at the same time into one, also of sixty at once', () => {
    const sixty = Array.from({ length: 60 }, (_, i) => span(i % 7, 10 + (i % 11)))
    const { laid, count } = lanes(sixty)
    expect(count).toBe(60)
    expect(new Set(laid.map((l) => l.lane)).size).toBe(60)
  })
  it('make rows as high as they need to be', () => {
    const { rows, height } = stack([
      { upper: 0, lower: 1 },
      { upper: 2, lower: 3 },
      { upper: 1, lower: 1 },
    ])
    expect(rows[1]!.top).toBe(rows[0]!.height)
    expect(rows[1]!.height - rows[0]!.height).toBe(upperHeight + 2 * lowerHeight)
    expect(height).toBe(rows[2]!.top + rows[2]!.height)
    const view = { left: 0, top: rows[1]!.top + 1, width: 100, height: 10 }
    expect(seenRows(rows, view, 0)).toEqual({ from: 1, to: 2 })
    expect(seenRows([], view)).toEqual({ from: 0, to: 0 })
    expect(seenRows(rows, { ...view, top: 10_000 }, 0)).toEqual({ from: 0, to: 0 })
  })
})

describe('a drag', () => {
  const line = { start: at('2026-11-26T00:00'), end: at('2026-11-27T00:00') }
  const span = { start: at('2026-11-26T19:00'), end: at('2026-11-26T19:30') }
  const moved = (grip: 'move' | 'start' | 'end', minutes: number, what = span) =>
    dragged(what, grip, minutes * minute, line)
  it('is rounded to five minutes', () => {
    expect(snap(at('2026-11-26T19:02:29'))).toBe(at('2026-11-26T19:00'))
    expect(snap(at('2026-11-26T19:02:31'))).toBe(at('2026-11-26T19:05'))
    expect(moved('move', 7)).toEqual({ start: span.start + 5 * minute, end: span.end + 5 * minute })
    expect(moved('end', 13).end).toBe(span.end + 15 * minute)
    expect(moved('start', -8).start).toBe(span.start - 10 * minute)
  })
  it('moves what begins at an odd time to the grid and keeps its length', () => {
    const odd = { start: at('2026-11-26T19:03:20'), end: at('2026-11-26T19:31:40') }
    const to = moved('move', 0, odd)
    expect(to.start).toBe(at('2026-11-26T19:05'))
    expect(to.end - to.start).toBe(odd.end - odd.start)
  })
  it('stays in the day, is never shorter than five minutes and never longer than a day', () => {
    expect(moved('move', -30 * 60).start).toBe(line.start)
    expect(moved('move', 30 * 60).start).toBe(line.end - step)
    expect(moved('start', 600).start).toBe(span.end - step)
    expect(moved('end', -600).end).toBe(span.start + step)
    expect(moved('end', 40 * 60).end).toBe(span.start + longest)
  })
  it('keeps lengths over a change of clocks', () => {
    const night = { start: at('2026-03-29T00:00'), end: at('2026-03-30T00:00') }
    const early = { start: at('2026-03-29T01:00'), end: at('2026-03-29T01:45') }
    const to = dragged(early, 'move', hour, night)
    expect(to.end - to.start).toBe(45 * minute)
    expect(new Date(to.start).getHours()).toBe(3)
  })
  it('holds a bar by its ends, and a narrow one by its middle too', () => {
    expect([gripAt(2, 100), gripAt(50, 100), gripAt(97, 100)]).toEqual(['start', 'move', 'end'])
    expect([gripAt(1, 12), gripAt(6, 12), gripAt(11, 12)]).toEqual(['start', 'move', 'end'])
  })
})

describe('an empty place', () => {
  const eight = at('2026-11-26T08:00')
  it('clicked is an hour from the quarter', () => {
    expect(clicked(eight + 22 * minute, [])).toEqual({
      start: eight + 15 * minute,
      end: eight + 75 * minute,
    })
  })
  it('ends where the next recording begins, and begins where the last one ended', () => {
    const taken = [
      { start: eight - hour, end: eight + 18 * minute },
      { start: eight + 40 * minute, end: eight + 60 * minute },
    ]
    expect(clicked(eight + 22 * minute, taken)).toEqual({
      start: eight + 20 * minute,
      end: eight + 40 * minute,
    })
  })
  it('drawn over is that time, in either direction', () => {
    const want = { start: eight, end: eight + 35 * minute }
    expect(selected(eight + 2 * minute, eight + 31 * minute)).toEqual(want)
    expect(selected(eight + 31 * minute, eight + 2 * minute)).toEqual(want)
    expect(selected(eight, eight)).toEqual({ start: eight, end: eight + step })
  })
})

describe('the rows of a day', () => {
  const now = at('2026-11-26T12:00')
  const line = dayLine(now, 100)
  const day = { start: line.from, end: line.to }
  const meeting = (id: string, more: Partial<MeetingRow>): MeetingRow => ({
    id,
    title: id,
    start: null,
    end: null,
    closed: null,
    live: 0,
    programme: null,
    ...more,
  })
  it('hold the meetings of the day, also those with no end and those that run over', () => {
    const { timed, untimed } = meetingsOf(
      [
        meeting('today', { start: new Date('2026-11-26T09:00'), end: new Date('2026-11-26T10:00') }),
        meeting('endless', { start: new Date('2026-11-26T14:00') }),
        meeting('over', { start: new Date('2026-11-26T10:00'), end: new Date('2026-11-26T11:00'), live: 3 }),
        meeting('tomorrow', { start: new Date('2026-11-27T09:00'), end: new Date('2026-11-27T10:00') }),
        meeting('off', { start: new Date('2026-11-26T18:00'), closed: new Date('2026-11-26T11:00') }),
        meeting('any time', { live: 2 }),
        meeting('nobody there', {}),
      ],
      day,
      now,
    )
    expect(timed.map((b) => [b.meeting.id, (b.end - b.start) / hour, b.open])).toEqual([
      ['today', 1, false],
      ['endless', 1, false],
      ['over', 2, true],
    ])
    expect(untimed.map((m) => m.id)).toEqual(['any time'])
  })
  it('hold what is recorded by hand, which a schedule has no part in', () => {
    const row = { id: 'r', stream: 'channels/a', title: 'x', started: new Date(now - hour), scheduled: false }
    const found = byHand([row, { ...row, id: 's', scheduled: true }, { ...row, started: null }] as never, now)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ start: now - hour, end: now, state: 'recording', recording: 'r' })
    expect(movable(found[0]!, null)).toEqual([])
  })
  it('give recordings to their channels, those of meetings to the first row, and those of gone channels to a last', () => {
    const occurrence = (key: string, stream: string) =>
      occurrenceOf(
        { key, stream, title: key, start: '2026-11-26T08:00:00Z', end: '2026-11-26T09:00:00Z' },
        'en',
      )!
    const channel = { id: 'a', name: 'A', number: 1 } as never
    const { rows } = rowsOf(
      [channel],
      new Map(),
      [],
      [
        occurrence('1', 'channels/a'),
        occurrence('2', 'channels/a'),
        occurrence('3', 'meetings/m/programme'),
        occurrence('4', 'channels/gone'),
      ],
    )
    expect(rows.map((r) => [r.key, r.bars.map((b) => `${b.item.key}:${b.lane}`)])).toEqual([
      ['meetings', ['3:0']],
      ['channels/a', ['1:0', '2:1']],
      ['channels/gone', ['4:0']],
    ])
    expect(rows[0]!.channel).toBeNull()
    expect(xOf(line, line.from)).toBe(0)
  })
})

describe('the forecast of the disk', () => {
  const now = new Date('2026-11-26T12:00:00Z')
  it('is in days, unless it is too far', () => {
    expect(daysLeft(new Date('2026-12-05T18:00:00Z'), now)).toBe(9.25)
    expect(daysLeft(new Date('2026-11-20T18:00:00Z'), now)).toBe(0)
    expect(daysLeft(new Date('2036-11-20T18:00:00Z'), now)).toBeNull()
    expect(daysLeft(null, now)).toBeNull()
    expect([null, 30, 9, 1].map(diskTone)).toEqual(['ok', 'ok', 'warn', 'danger'])
  })
})
