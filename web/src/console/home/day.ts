// Where things are in a day of the duty desk: times across, channels down. Pure; times are milliseconds of the epoch.
import { hour, midnight, type Place, type Timeline } from '../guide/timeline'

/** To what a drag is rounded. Zones differ by quarters of an hour, so this is right on every wall. */
export const step = 5 * 60_000
/** To what a click on an empty place is rounded: five minutes are too narrow to be hit. */
export const clickStep = 15 * 60_000
/** What a click on an empty place is as long as, where nothing follows sooner. */
const clickLength = hour
/** The longest that the server plans. */
export const longest = 24 * hour

export interface Span {
  readonly start: number
  readonly end: number
}

/** Midnight so many days later, where the user is. */
export function addDays(at: number, days: number): number {
  const date = new Date(midnight(at))
  date.setDate(date.getDate() + days)
  return date.getTime()
}

/** The day of a moment from midnight to midnight: 23, 24 or 25 hours. */
export const dayLine = (at: number, zoom: number): Timeline => ({
  from: midnight(at),
  to: addDays(at, 1),
  zoom,
})

export const snap = (time: number, by = step): number => Math.round(time / by) * by
const down = (time: number, by: number): number => Math.floor(time / by) * by
const up = (time: number, by: number): number => Math.ceil(time / by) * by

export const overlap = (a: Span, b: Span): boolean => a.start < b.end && b.start < a.end

/** Each with the uppermost lane that is free at its time; `items` in any order, answered by start. */
export function lanes<T extends Span>(
  items: readonly T[],
): { laid: { item: T; lane: number }[]; count: number } {
  const ends: number[] = []
  const laid = [...items]
    .sort((a, b) => a.start - b.start || b.end - a.end)
    .map((item) => {
      const free = ends.findIndex((end) => end <= item.start)
      const lane = free < 0 ? ends.length : free
      ends[lane] = item.end
      return { item, lane }
    })
  return { laid, count: ends.length }
}

/** Heights of a lane of the guide or of meetings, and of one of recordings. */
export const upperHeight = 36
export const lowerHeight = 26
const gap = 3

export interface Placement extends Place {
  /** Where the lanes of recordings begin, from the row's top. */
  readonly lower: number
}

/** Rows below one another, with so many lanes of programmes and of recordings. */
export function stack(rows: readonly { upper: number; lower: number }[]): {
  rows: Placement[]
  height: number
} {
  let top = 0
  const placed = rows.map((row) => {
    const lower = gap + Math.max(1, row.upper) * upperHeight
    const height = lower + row.lower * lowerHeight + gap
    const at = { top, height, lower }
    top += height
    return at
  })
  return { rows: placed, height: top }
}

/** What of a recording is held while it is dragged. */
export type Grip = 'move' | 'start' | 'end'

/** Pixels at the ends of a bar that stretch it; a narrow bar keeps its middle. */
export function gripAt(x: number, width: number): Grip {
  const edge = Math.min(10, width / 4)
  return x < edge ? 'start' : x > width - edge ? 'end' : 'move'
}

/** Where a recording is after a drag by so much time; it stays in its day and as long as it was, or is stretched. */
export function dragged(span: Span, grip: Grip, by: number, line: Span): Span {
  if (grip === 'move') {
    const start = Math.min(Math.max(snap(span.start + by), line.start), line.end - step)
    return { start, end: start + (span.end - span.start) }
  }
  if (grip === 'start') {
    const earliest = Math.max(up(Math.min(line.start, span.start), step), span.end - longest)
    const start = Math.min(Math.max(snap(span.start + by), earliest), span.end - step)
    return { start, end: span.end }
  }
  const end = Math.max(snap(span.end + by), span.start + step)
  return { start: span.start, end: Math.min(end, span.start + longest) }
}

/** What is meant by a click on an empty place: an hour, or what is free until the next recording of that row. */
export function clicked(at: number, taken: readonly Span[]): Span {
  const start = down(at, clickStep)
  const before = taken.filter((s) => s.end <= at).map((s) => s.end)
  const begin = Math.max(start, ...before.map((end) => up(end, step)))
  const next = Math.min(...taken.filter((s) => s.start > at).map((s) => s.start), begin + clickLength)
  return { start: begin, end: Math.max(down(next, step), begin + step) }
}

/** What is meant by a drag over an empty place. */
export function selected(a: number, b: number): Span {
  const start = down(Math.min(a, b), step)
  return { start, end: Math.min(Math.max(up(Math.max(a, b), step), start + step), start + longest) }
}
