import { describe, expect, it } from 'vitest'
import { type Occurrence, occurrenceOf } from '../home/plan'
import { counted, dayColumn, daysOf, moved, onDay, sameMonth, spanOf } from './calendar'

const at = (text: string): number => new Date(text).getTime()
const iso = (text: string): string => new Date(text).toISOString()
const words = (time: number): string => new Date(time).toDateString()

function planned(key: string, start: string, end: string, state = 'planned'): Occurrence {
  return occurrenceOf(
    { key, schedule: 's', stream: 'channels/c', title: key, start: iso(start), end: iso(end), state },
    'en',
  )!
}

describe('what a view shows', () => {
  it('begins a week on Monday, on Sundays too', () => {
    for (const day of ['2026-11-23T00:00', '2026-11-26T12:00', '2026-11-29T23:59'])
      expect(spanOf('week', at(day))).toEqual({ start: at('2026-11-23T00:00'), end: at('2026-11-30T00:00') })
  })
  it('shows a month in whole weeks', () => {
    expect(spanOf('month', at('2026-11-26T12:00'))).toEqual({
      start: at('2026-10-26T00:00'),
      end: at('2026-12-07T00:00'),
    })
    // February of 2027 begins on a Monday and ends on a Sunday: four weeks.
    expect(daysOf(spanOf('month', at('2027-02-10T00:00')))).toHaveLength(28)
  })
  it('shows a day', () => {
    expect(spanOf('day', at('2026-11-26T12:00'))).toEqual({
      start: at('2026-11-26T00:00'),
      end: at('2026-11-27T00:00'),
    })
  })
  it.each([
    ['week', '2026-12-28T10:00', 1, '2027-01-04T00:00'],
    ['day', '2026-03-01T10:00', -1, '2026-02-28T00:00'],
    ['month', '2026-01-31T10:00', 1, '2026-02-01T00:00'],
    ['month', '2026-01-31T10:00', -1, '2025-12-01T00:00'],
  ] as const)('moves by a %s from %s', (view, from, by, to) => {
    expect(words(moved(view, at(from), by))).toBe(words(at(to)))
  })
  it('has seven days in each week, also where clocks change', () => {
    for (const day of ['2026-03-29T12:00', '2026-10-25T12:00', '2026-11-01T12:00'])
      expect(daysOf(spanOf('week', at(day)))).toHaveLength(7)
  })
  it('tells months apart', () => {
    expect(sameMonth(at('2026-11-01T00:00'), at('2026-11-30T23:00'))).toBe(true)
    expect(sameMonth(at('2026-11-30T23:00'), at('2026-12-01T00:00'))).toBe(false)
    expect(sameMonth(at('2025-11-30T23:00'), at('2026-11-30T23:00'))).toBe(false)
  })
})

describe('a day', () => {
  const items = [
    planned('late', '2026-11-26T23:30', '2026-11-27T00:30'),
    planned('early', '2026-11-26T08:00', '2026-11-26T09:00', 'missed'),
    planned('other', '2026-11-28T08:00', '2026-11-28T09:00'),
  ]
  const keys = (day: string): string[] => onDay(items, at(day)).map((x) => x.key)
  it('has what touches it, in order; over midnight in both days', () => {
    expect(keys('2026-11-26T00:00')).toEqual(['early', 'late'])
    expect(keys('2026-11-27T00:00')).toEqual(['late'])
    expect(keys('2026-11-25T00:00')).toEqual([])
  })
  it('counts states, those too that there are none of', () => {
    const counts = counted(items)
    expect([counts.get('planned'), counts.get('missed'), counts.get('conflict')]).toEqual([2, 1, 0])
  })
  it('cuts at midnight what is drawn', () => {
    const [block] = dayColumn(items, at('2026-11-27T00:00'), 2).blocks
    expect([block?.top, block?.height]).toEqual([0, 0.65])
    const evening = dayColumn(items, at('2026-11-26T00:00'), 2).blocks[1]!
    expect(evening.top + evening.height).toBe(24)
  })
  it('puts those at the same time side by side, and counts those there is no room for', () => {
    const busy = [
      planned('a', '2026-11-26T08:00', '2026-11-26T10:00'),
      planned('b', '2026-11-26T08:30', '2026-11-26T09:00'),
      planned('c', '2026-11-26T08:45', '2026-11-26T09:30'),
      planned('d', '2026-11-26T08:50', '2026-11-26T11:00'),
      planned('alone', '2026-11-26T15:00', '2026-11-26T16:00'),
    ]
    const { blocks, more } = dayColumn(busy, at('2026-11-26T00:00'), 2)
    expect(blocks.map((b) => [b.item.key, b.lane, b.of, b.crowded])).toEqual([
      ['a', 0, 2, true],
      ['b', 1, 2, true],
      ['alone', 0, 1, false],
    ])
    expect(more).toEqual([{ top: 8.75, height: 2.25, count: 2 }])
  })
  it('keeps what is too short to be read from covering what follows', () => {
    const news = [
      planned('a', '2026-11-26T08:00', '2026-11-26T08:05'),
      planned('b', '2026-11-26T08:05', '2026-11-26T08:10'),
    ]
    expect(dayColumn(news, at('2026-11-26T00:00'), 2).blocks.map((b) => b.lane)).toEqual([0, 1])
  })
  it('lays out sixty at once without end', () => {
    const sixty = Array.from({ length: 60 }, (_, i) =>
      planned(`x${i}`, '2026-11-26T19:00', '2026-11-26T20:00'),
    )
    const { blocks, more } = dayColumn(sixty, at('2026-11-26T00:00'), 2)
    expect([blocks.length, more[0]?.count]).toEqual([2, 58])
  })
})
