// Schedules and what they come to, as the pages need them. Nothing throws.
import { count, date, type Json, object, oneOf, sentence, text, texts } from '../fields'
import type { Span } from './day'

export const priorities = ['emergency', 'meeting', 'training', 'news'] as const
export type Priority = (typeof priorities)[number]

export const classes = ['meeting', 'news', 'training', 'agriculture'] as const
export type Class = (typeof classes)[number] | ''

export type PlanState = 'planned' | 'recording' | 'done' | 'missed' | 'skipped' | 'conflict'
export const states: readonly PlanState[] = ['planned', 'recording', 'done', 'missed', 'skipped', 'conflict']

/** How a state is shown: see StateTag. */
export const stateTones = {
  planned: 'quiet',
  recording: 'busy',
  done: 'ok',
  missed: 'danger',
  skipped: 'quiet',
  conflict: 'danger',
} as const

/** One time at which a schedule applies. `start` and `end` are what is drawn: with padding. */
export interface Occurrence extends Span {
  readonly key: string
  readonly schedule: string
  readonly stream: string
  readonly title: string
  readonly event: string
  readonly priority: Priority
  /** Without padding. */
  readonly asked: Span
  readonly state: PlanState
  readonly reason: string
  /** Of a conflict: what has the room. */
  readonly lostTo: string
  readonly recording: string
}

/** Null for what has no place in a timeline. */
export function occurrenceOf(row: Json, language: string): Occurrence | null {
  const [start, end] = [date(row['start']), date(row['end'])]
  if (start === null || end === null) return null
  const from = date(row['record_from']) ?? start
  const to = date(row['record_to']) ?? end
  if (to <= from) return null
  return {
    key: text(row['key']),
    schedule: text(row['schedule']),
    stream: text(row['stream']),
    title: text(row['title']),
    event: text(row['event']),
    priority: oneOf(row['priority'], priorities, 'training'),
    asked: { start: start.getTime(), end: end.getTime() },
    start: from.getTime(),
    end: to.getTime(),
    state: oneOf(row['state'], states, 'planned'),
    reason: sentence(row['reason'], language),
    lostTo: text(object(row['lost_to'])['title']),
    recording: text(row['recording']),
  }
}

export interface Match {
  readonly title: string
  readonly channels: readonly string[]
  readonly weekdays: readonly string[]
  readonly from: string
  readonly to: string
  readonly duplicates: 'record' | 'skip_recorded' | 'skip_title_day'
}

export interface Schedule {
  readonly id: string
  readonly stream: string
  readonly title: string
  readonly class: Class
  readonly format: 'fmp4' | 'ts'
  readonly priority: Priority
  readonly start: Date | null
  readonly end: Date | null
  readonly zone: string
  readonly rrule: string
  readonly event: string
  readonly match: Match | null
  /** Seconds. */
  readonly before: number
  readonly after: number
  readonly enabled: boolean
  readonly recording: boolean
}

function matchOf(value: unknown): Match | null {
  const row = object(value)
  const title = text(row['title'])
  if (title === '') return null
  return {
    title,
    channels: texts(row['channels']),
    weekdays: texts(row['weekdays']),
    from: text(row['from']),
    to: text(row['to']),
    duplicates: oneOf(row['duplicates'], ['record', 'skip_recorded', 'skip_title_day'], 'record'),
  }
}

export function scheduleOf(row: Json): Schedule {
  return {
    id: text(row['id']),
    stream: text(row['stream']),
    title: text(row['title']),
    class: oneOf<Class>(row['class'], classes, ''),
    format: oneOf(row['format'], ['fmp4', 'ts'], 'fmp4'),
    priority: oneOf(row['priority'], priorities, 'training'),
    start: date(row['start']),
    end: date(row['end']),
    zone: text(row['zone']),
    rrule: text(row['rrule']),
    event: text(row['event']),
    match: matchOf(row['match']),
    before: count(row['padding_before']),
    after: count(row['padding_after']),
    enabled: row['enabled'] !== false,
    recording: row['recording'] === true,
  }
}

/** A schedule in the list of all. */
export interface ListedSchedule extends Schedule {
  /** When it records, in words. */
  readonly rule: string
  readonly next: Occurrence | null
  /** What became of the newest time that is over. */
  readonly last: Occurrence | null
}

export function listedSchedule(row: Json, language: string): ListedSchedule {
  return {
    ...scheduleOf(row),
    rule: sentence(row['rule'], language),
    next: occurrenceOf(object(row['next']), language),
    last: occurrenceOf(object(row['last']), language),
  }
}

/** What a stream is called on the page: channels/x and meetings/x, with or without the programme's name behind. */
export const streamKey = (stream: string): string => stream.split('/').slice(0, 2).join('/')
