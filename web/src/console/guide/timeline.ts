// Where things are in the guide: times across, channels down. Pure; times are milliseconds of the epoch.
import type { GuideEvent } from './events'

export const hour = 3_600_000
export const day = 24 * hour

/** Pixels of an hour, from a whole day on the screen to five-minute news. */
export const zooms = [90, 150, 240, 400] as const

export interface Timeline {
  /** The first and last moment that can be shown. */
  readonly from: number
  readonly to: number
  /** Pixels of an hour. */
  readonly zoom: number
}

/** Midnight of the day of a moment, where the user is. */
export function midnight(at: number): number {
  const date = new Date(at)
  date.setHours(0, 0, 0, 0)
  return date.getTime()
}

/** A week back and a week ahead of today. Days of 23 and 25 hours stay whole. */
export function timelineAround(now: number, zoom: number): Timeline {
  const at = (offset: number): number => {
    const date = new Date(midnight(now))
    date.setDate(date.getDate() + offset)
    return date.getTime()
  }
  return { from: at(-7), to: at(8), zoom }
}

export const xOf = (line: Timeline, time: number): number => ((time - line.from) / hour) * line.zoom
export const timeAt = (line: Timeline, x: number): number => line.from + (x / line.zoom) * hour
export const widthOf = (line: Timeline): number => xOf(line, line.to)

/** What is seen of the guide, in px from its top left. */
export interface View {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Where a row is, in px from the top of the first. */
export interface Place {
  readonly top: number
  readonly height: number
}

/** Indices of the rows that are seen, from..to, with some to spare. */
export function seenRows(rows: readonly Place[], view: View, spare = 150): { from: number; to: number } {
  const first = rows.findIndex((r) => r.top + r.height > view.top - spare)
  if (first < 0) return { from: 0, to: 0 }
  const after = rows.findIndex((r) => r.top >= view.top + view.height + spare)
  return { from: first, to: after < 0 ? rows.length : after }
}

/** Times to draw, with half a screen to spare on both sides. */
export function timesIn(view: View, line: Timeline): { from: number; to: number } {
  const spare = view.width / 2
  return {
    from: Math.max(line.from, timeAt(line, view.left - spare)),
    to: Math.min(line.to, timeAt(line, view.left + view.width + spare)),
  }
}

/** Marks of the time axis. */
export function ticks(line: Timeline, from: number, to: number): number[] {
  const step = line.zoom >= 240 ? hour / 2 : hour
  const found: number[] = []
  // From midnight, so that marks stand at whole hours also where the zone is not one of whole hours.
  for (let at = midnight(from); at < to; at += step) if (at >= from) found.push(at)
  return found
}

export interface Placed {
  readonly event: GuideEvent
  readonly left: number
  readonly width: number
}

/** The events of one channel that are seen; `events` are in order. A second one at the same time is left out. */
export function placed(events: readonly GuideEvent[], line: Timeline, from: number, to: number): Placed[] {
  const found: Placed[] = []
  let filled = -Infinity
  for (let i = firstAfter(events, from); i < events.length; i++) {
    const event = events[i]!
    if (event.start >= to) break
    const start = Math.max(event.start, filled, line.from)
    const end = Math.min(event.end, line.to)
    if (end <= start) continue
    filled = end
    const left = xOf(line, start)
    found.push({ event, left, width: Math.max(2, xOf(line, end) - left) })
  }
  return found
}

/** Index of the first event that ends after a moment. Broadcasters' events hardly overlap, so one step back is enough. */
function firstAfter(events: readonly GuideEvent[], at: number): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (events[middle]!.end <= at) low = middle + 1
    else high = middle
  }
  return Math.max(0, low - 1)
}

/** How far the words of what began before the left edge are moved in, so that they stay readable; some px are kept. */
export const inset = (seenFrom: number, left: number, width: number, kept = 80): number =>
  Math.max(0, Math.min(seenFrom - left, width - kept))

/** The event to which an arrow key leads: the next of the channel, or the one at that time in the next channel. */
export function neighbour(
  rows: readonly (readonly GuideEvent[])[],
  row: number,
  event: GuideEvent,
  key: string,
): { row: number; event: GuideEvent } | null {
  const here = rows[row] ?? []
  const index = here.indexOf(event)
  const step = key === 'ArrowLeft' ? -1 : key === 'ArrowRight' ? 1 : 0
  if (step !== 0) {
    const next = here[index + step]
    return index >= 0 && next ? { row, event: next } : null
  }
  const down = key === 'ArrowDown' ? 1 : key === 'ArrowUp' ? -1 : 0
  if (down === 0) return null
  const middle = (event.start + event.end) / 2
  for (let to = row + down; to >= 0 && to < rows.length; to += down) {
    const next = rows[to]!.find((e) => e.start <= middle && middle < e.end)
    if (next) return { row: to, event: next }
  }
  return null
}
