// The list of all schedules: what is looked for in it, and the words of a row. Pure.
import { moment } from '../format'
import type { ListedSchedule } from '../home/plan'

export const wanted = ['', 'on', 'off', 'recording', 'trouble', 'over'] as const
/** Which are shown: `trouble` are those that were missed, or for which there will be no room. */
export type Wanted = (typeof wanted)[number]

export function isWanted(x: ListedSchedule, only: Wanted): boolean {
  switch (only) {
    case '':
      return true
    case 'on':
      return x.enabled
    case 'off':
      return !x.enabled
    case 'recording':
      return x.recording
    case 'trouble':
      return x.last?.state === 'missed' || x.last?.state === 'conflict' || x.next?.state === 'conflict'
    case 'over':
      return isOver(x)
  }
}

/** It will not apply any more; one that follows the guide may. */
export const isOver = (x: ListedSchedule): boolean =>
  x.enabled && !x.recording && x.next === null && x.match === null && (x.event === '' || x.last !== null)

/** What records first, then by the next time; those without one as they were. */
const order = (x: ListedSchedule): number =>
  x.recording ? 0 : x.enabled && x.next !== null ? x.next.start : Number.MAX_SAFE_INTEGER

/** Those that are wanted and have all the words in what is seen of them, the next one first. */
export function found(
  rows: readonly ListedSchedule[],
  words: string,
  only: Wanted,
  nameOf: (x: ListedSchedule) => string,
): ListedSchedule[] {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean)
  return rows
    .filter((x) => {
      const seen = `${x.title} ${nameOf(x)} ${x.rule}`.toLowerCase()
      return isWanted(x, only) && parts.every((p) => seen.includes(p))
    })
    .sort((a, b) => order(a) - order(b))
}

/** The streams that a schedule records; none: all channels. */
export function streamsOf(x: ListedSchedule): string[] {
  if (x.match !== null && x.match.channels.length > 0) return x.match.channels.map((c) => `channels/${c}`)
  return x.stream === '' ? [] : [x.stream]
}

/** A time that comes once is said by the reader's clock; what repeats by the clock of its zone, as the server says. */
export function onceSpan(x: ListedSchedule, now: Date, language: string): string {
  if (x.rrule !== '' || x.match !== null || x.event !== '' || x.start === null || x.end === null) return ''
  const sameDay = x.start.toDateString() === x.end.toDateString()
  const end = sameDay
    ? x.end.toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit', hour12: false })
    : moment(x.end, now, language)
  return `${moment(x.start, now, language)}–${end}`
}

/** The zone, where it is another than the reader's. */
export const foreignZone = (x: ListedSchedule, mine: string): string =>
  x.zone === '' || x.zone === mine || (x.rrule === '' && x.match === null) ? '' : x.zone
