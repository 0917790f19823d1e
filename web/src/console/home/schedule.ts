// The form of a schedule, and what is sent for it. Pure.
import type { Json } from '../fields'
import type { GuideEvent } from '../guide/events'
import { addDays, type Grip, type Span } from './day'
import type { Class, Match, Occurrence, Priority, Schedule } from './plan'

export const weekdays = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'] as const
export type Weekday = (typeof weekdays)[number]
const working: readonly Weekday[] = ['MO', 'TU', 'WE', 'TH', 'FR']

export const ways = ['once', 'daily', 'weekdays', 'weekly', 'series', 'rule'] as const
/** How often: `series` is by title, `rule` any RRULE. */
export type Way = (typeof ways)[number]

export interface Form {
  way: Way
  /** channels/ID or meetings/ID. */
  stream: string
  title: string
  /** As of an input of type datetime-local. */
  start: string
  end: string
  days: Weekday[]
  /** The last day of a repetition, as of an input of type date; empty: for ever. */
  until: string
  rrule: string
  /** Only the channel above, not all. */
  onlyHere: boolean
  matchDays: Weekday[]
  matchFrom: string
  matchTo: string
  duplicates: Match['duplicates']
  /** Minutes. */
  before: number
  after: number
  class: Class
  /** Empty: by the class. */
  priority: Priority | ''
  format: 'fmp4' | 'ts'
}

const two = (n: number): string => String(n).padStart(2, '0')
/** A moment as an input of type date and of type datetime-local have it. */
export function localDate(at: Date): string {
  return `${String(at.getFullYear()).padStart(4, '0')}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
}
export const local = (at: Date): string => `${localDate(at)}T${two(at.getHours())}:${two(at.getMinutes())}`

/** Null while the input is not filled. */
export function instant(value: string): Date | null {
  const at = new Date(value)
  return value === '' || Number.isNaN(at.getTime()) ? null : at
}

export const weekdayOf = (at: Date): Weekday => weekdays[(at.getDay() + 6) % 7]!

/** What a title is about, as far as it says so. */
export function guessClass(title: string): Class {
  if (/培训|讲座|课堂|课程|教学|党课|training|lesson|course/i.test(title)) return 'training'
  if (/会议|例会|调度会|meeting/i.test(title)) return 'meeting'
  if (/新闻|联播|要闻|news/i.test(title)) return 'news'
  if (/三农|农业|农村|种植|养殖|致富|乡村|agricultur|farm/i.test(title)) return 'agriculture'
  return ''
}

/** The end of a day as RFC 5545 writes it, in UTC. */
function untilOf(day: string): string {
  const at = instant(`${day}T00:00`)
  if (at === null) return ''
  return new Date(addDays(at.getTime(), 1) - 1000).toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')
}

export function rruleOf(form: Pick<Form, 'way' | 'days' | 'until' | 'rrule'>): string {
  const until = form.until === '' ? '' : `;UNTIL=${untilOf(form.until)}`
  const days = weekdays.filter((d) => form.days.includes(d)).join(',')
  switch (form.way) {
    case 'daily':
      return `FREQ=DAILY${until}`
    case 'weekdays':
      return `FREQ=WEEKLY;BYDAY=${working.join(',')}${until}`
    case 'weekly':
      return `FREQ=WEEKLY${days === '' ? '' : `;BYDAY=${days}`}${until}`
    case 'rule':
      return form.rrule.trim()
    default:
      return ''
  }
}

/** The form of a rule: what the form has no fields for is shown as it is written. */
export function readRule(rrule: string, start: Date | null): Pick<Form, 'way' | 'days' | 'until' | 'rrule'> {
  const day = start === null ? [] : [weekdayOf(start)]
  const as = (way: Way, days: Weekday[], until = ''): Pick<Form, 'way' | 'days' | 'until' | 'rrule'> => ({
    way,
    days,
    until,
    rrule,
  })
  if (rrule === '') return as('once', day)
  const parts = new Map(rrule.split(';').map((p) => p.split('=', 2) as [string, string]))
  const unknown = [...parts.keys()].some((k) => !['FREQ', 'BYDAY', 'UNTIL'].includes(k))
  const last = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(parts.get('UNTIL') ?? '')
  if (unknown || (parts.has('UNTIL') && !last)) return as('rule', day)
  const until = last
    ? localDate(new Date(`${last[1]}-${last[2]}-${last[3]}T${last[4]}:${last[5]}:${last[6]}Z`))
    : ''
  const named = (parts.get('BYDAY') ?? '').split(',').filter((d) => d !== '')
  const days = weekdays.filter((d) => named.includes(d))
  if (days.length !== named.length) return as('rule', day)
  if (parts.get('FREQ') === 'DAILY' && named.length === 0) return as('daily', day, until)
  if (parts.get('FREQ') !== 'WEEKLY') return as('rule', day)
  return days.join() === working.join()
    ? as('weekdays', days, until)
    : as('weekly', days.length === 0 ? day : days, until)
}

/** What a schedule is begun from: a programme, an empty place, a meeting. */
export interface Draft extends Span {
  readonly stream: string
  readonly title: string
  readonly event: GuideEvent | null
}

const fresh = (stream: string, title: string, start: Date, end: Date): Form => ({
  way: 'once',
  stream,
  title,
  start: local(start),
  end: local(end),
  days: [weekdayOf(start)],
  until: '',
  rrule: '',
  onlyHere: false,
  matchDays: [],
  matchFrom: '',
  matchTo: '',
  duplicates: 'skip_recorded',
  before: 0,
  after: 0,
  class: stream.startsWith('meetings/') ? 'meeting' : guessClass(title),
  priority: '',
  format: 'fmp4',
})

/** What is over can only be recorded when it comes again. */
export const formOfDraft = (draft: Draft, now = 0): Form => ({
  ...fresh(draft.stream, draft.title, new Date(draft.start), new Date(draft.end)),
  way: draft.end <= now ? 'weekly' : 'once',
})

export function formOfSchedule(x: Schedule, shown: Span): Form {
  const start = x.start ?? new Date(shown.start)
  const end = x.end ?? new Date(shown.end)
  const form: Form = {
    ...fresh(x.stream, x.title, start, end),
    ...readRule(x.rrule, x.start),
    before: x.before / 60,
    after: x.after / 60,
    class: x.class,
    priority: x.priority,
    format: x.format,
  }
  if (x.match === null) return form
  return {
    ...form,
    way: 'series',
    stream: x.stream || (x.match.channels[0] === undefined ? '' : `channels/${x.match.channels[0]}`),
    title: x.match.title,
    onlyHere: x.stream !== '' || x.match.channels.length > 0,
    matchDays: weekdays.filter((d) => x.match?.weekdays.includes(d)),
    matchFrom: x.match.from,
    matchTo: x.match.to,
    duplicates: x.match.duplicates,
  }
}

/** Which ways a schedule may become: the kinds exclude one another, and the server keeps one. */
export function waysOf(x: Schedule | null): readonly Way[] {
  if (x === null) return ways
  if (x.match !== null) return ['series']
  if (x.event !== '') return ['once']
  return ways.filter((w) => w !== 'series')
}

/** The form follows the programme in the guide as long as its times are those of the guide. */
export function follows(form: Form, event: GuideEvent | null): event is GuideEvent {
  return (
    event !== null &&
    event.id !== '' &&
    form.way === 'once' &&
    form.stream === `channels/${event.channel}` &&
    form.start === local(new Date(event.start)) &&
    form.end === local(new Date(event.end))
  )
}

/** What is sent: to make one, or to change `old`. `zone` is that of the person at the desk. */
export function bodyOf(form: Form, event: GuideEvent | null, zone: string, old: Schedule | null): Json {
  const common = {
    title: form.title.trim(),
    padding_before: Math.round(form.before * 60),
    padding_after: Math.round(form.after * 60),
    class: form.class,
    format: form.format,
    ...(form.priority === '' ? {} : { priority: form.priority }),
  }
  if (form.way === 'series') {
    const channels = form.onlyHere && form.stream.startsWith('channels/') ? [form.stream.slice(9)] : []
    return {
      ...common,
      stream: '',
      zone: old?.zone || zone,
      match: {
        title: form.title.trim(),
        channels:
          old?.match && form.onlyHere && old.match.channels.length > 1 ? old.match.channels : channels,
        weekdays: form.matchDays,
        from: form.matchFrom,
        to: form.matchTo,
        duplicates: form.duplicates,
      },
    }
  }
  if (old !== null && old.event !== '') return common
  if (follows(form, event)) return { ...common, stream: form.stream, event: Number(event.id) }
  const rrule = rruleOf(form)
  return {
    ...common,
    stream: form.stream,
    ...(instant(form.start) === null ? {} : { start: instant(form.start)?.toISOString() }),
    ...(instant(form.end) === null ? {} : { end: instant(form.end)?.toISOString() }),
    ...(rrule === '' && old === null ? {} : { rrule, zone: old?.zone || zone }),
  }
}

/** A schedule by times is moved and stretched; one that follows the guide only begins earlier or ends later. */
export function movable(x: Occurrence, schedule: Pick<Schedule, 'event' | 'match'> | null): readonly Grip[] {
  if (x.schedule === '') return [] // made by hand: stopped by hand
  if (x.state === 'recording') return ['end']
  if (x.state !== 'planned' && x.state !== 'conflict') return []
  const guided = schedule === null ? x.event !== '' : schedule.event !== '' || schedule.match !== null
  return guided ? ['start', 'end'] : ['move', 'start', 'end']
}

/** The change that a drag of an occurrence to `to` (with padding) is for its schedule. */
export function changeOf(schedule: Schedule, x: Occurrence, grip: Grip, to: Span): Json | null {
  if (!movable(x, schedule).includes(grip)) return null
  if (schedule.event !== '' || schedule.match !== null) {
    return grip === 'start'
      ? { padding_before: Math.max(0, x.asked.start - to.start) / 1000 }
      : { padding_after: Math.max(0, to.end - x.asked.end) / 1000 }
  }
  if (schedule.start === null || schedule.end === null) return null
  // All times of a repetition move alike: what this one moved by.
  const start = new Date(schedule.start.getTime() + to.start - x.start)
  const end = new Date(schedule.end.getTime() + to.end - x.end)
  return grip === 'end'
    ? { end: end.toISOString() }
    : grip === 'start'
      ? { start: start.toISOString() }
      : { start: start.toISOString(), end: end.toISOString() }
}

/** How far a preview looks: five weeks, or to the first time and a day, and never further than the server does. */
export function previewUntil(body: Json, now: number): Date {
  const day = 24 * 3_600_000
  const first = typeof body['end'] === 'string' ? new Date(body['end']).getTime() + day : 0
  return new Date(Math.min(now + 92 * day, Math.max(now + 35 * day, first || 0)))
}

/** A schedule as it would be sent to make it anew: what a preview takes. */
export function wholeOf(x: Schedule): Json {
  const common = {
    stream: x.stream,
    title: x.title,
    class: x.class,
    priority: x.priority,
    format: x.format,
    padding_before: x.before,
    padding_after: x.after,
    ...(x.zone === '' ? {} : { zone: x.zone }),
  }
  if (x.match !== null) return { ...common, match: x.match }
  if (x.event !== '') return { ...common, event: Number(x.event) }
  return {
    ...common,
    start: x.start?.toISOString(),
    end: x.end?.toISOString(),
    ...(x.rrule === '' ? {} : { rrule: x.rrule }),
  }
}
