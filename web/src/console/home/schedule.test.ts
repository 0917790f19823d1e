import { describe, expect, it } from 'vitest'
import type { GuideEvent } from '../guide/events'
import { inOrder, jobOf } from '../jobs/jobs'
import { occurrenceOf, scheduleOf, streamKey } from './plan'
import {
  bodyOf,
  changeOf,
  follows,
  formOfDraft,
  formOfSchedule,
  guessClass,
  instant,
  local,
  movable,
  previewUntil,
  readRule,
  rruleOf,
  waysOf,
  weekdayOf,
  wholeOf,
} from './schedule'

const start = new Date(2026, 10, 26, 19, 0) // a Thursday
const end = new Date(2026, 10, 26, 19, 30)
const event: GuideEvent = {
  channel: 'a',
  id: '7',
  title: '冬小麦管理培训',
  summary: '',
  text: '',
  start: start.getTime(),
  end: end.getTime(),
  genre: '',
  language: '',
}
const draft = {
  stream: 'channels/a',
  title: event.title,
  event,
  start: event.start,
  end: event.end,
}

describe('a click on a programme', () => {
  it('records it once by the guide, so that it is followed', () => {
    const form = formOfDraft(draft)
    expect(form.class).toBe('training')
    expect(bodyOf(form, event, 'Asia/Shanghai', null)).toEqual({
      stream: 'channels/a',
      event: 7,
      title: event.title,
      class: 'training',
      format: 'fmp4',
      padding_before: 0,
      padding_after: 0,
    })
  })
  it('records its time each week', () => {
    const form = formOfDraft(draft)
    form.way = 'weekly'
    form.before = 2
    expect(bodyOf(form, event, 'Asia/Shanghai', null)).toMatchObject({
      stream: 'channels/a',
      start: start.toISOString(),
      end: end.toISOString(),
      rrule: 'FREQ=WEEKLY;BYDAY=TH',
      zone: 'Asia/Shanghai',
      padding_before: 120,
    })
  })
  it('that is over records it when it comes again', () => {
    expect(formOfDraft(draft, event.end - 1).way).toBe('once')
    expect(formOfDraft(draft, event.end).way).toBe('weekly')
  })
  it('records its title anywhere, or here only', () => {
    const form = formOfDraft(draft)
    form.way = 'series'
    expect(bodyOf(form, event, 'Asia/Shanghai', null)).toMatchObject({
      stream: '',
      match: { title: event.title, channels: [], weekdays: [], duplicates: 'skip_recorded' },
    })
    form.onlyHere = true
    expect(bodyOf(form, event, 'Asia/Shanghai', null)).toMatchObject({ match: { channels: ['a'] } })
  })
  it('follows the guide no longer when its times are changed', () => {
    const form = formOfDraft(draft)
    expect(follows(form, event)).toBe(true)
    form.end = local(new Date(2026, 10, 26, 20, 0))
    expect(follows(form, event)).toBe(false)
    expect(bodyOf(form, event, 'UTC', null)).toMatchObject({ start: start.toISOString() })
    expect(bodyOf(form, event, 'UTC', null)).not.toHaveProperty('event')
  })
})

describe('a form', () => {
  it('reads the times of its inputs and does not take nonsense', () => {
    expect(instant(local(start))).toEqual(start)
    expect(instant('')).toBeNull()
    expect(instant('yesterday')).toBeNull()
    const form = { ...formOfDraft({ ...draft, event: null }), start: '', end: 'x' }
    expect(bodyOf(form, null, 'UTC', null)).not.toHaveProperty('start')
    expect(bodyOf(form, null, 'UTC', null)).not.toHaveProperty('end')
  })
  it('writes rules and reads them again', () => {
    const rule = (way: 'daily' | 'weekdays' | 'weekly', days: never[] | ['MO', 'WE'] = [], until = '') =>
      rruleOf({ way, days, until, rrule: '' })
    for (const written of [
      rule('daily'),
      rule('weekdays'),
      rule('weekly', ['MO', 'WE']),
      rule('weekly', ['MO', 'WE'], '2026-12-31'),
    ]) {
      expect(rruleOf(readRule(written, start)), written).toBe(written)
    }
    expect(rule('weekly', ['MO', 'WE'], '2026-12-31')).toMatch(/;UNTIL=20\d{6}T\d{6}Z$/)
    expect(readRule('FREQ=WEEKLY', start)).toMatchObject({ way: 'weekly', days: ['TH'] })
  })
  it('leaves alone what it has no fields for', () => {
    for (const odd of [
      'FREQ=MONTHLY;BYDAY=1MO',
      'FREQ=WEEKLY;INTERVAL=2',
      'FREQ=WEEKLY;BYDAY=1MO',
      'FREQ=DAILY;UNTIL=20261231',
      'nonsense',
    ]) {
      expect(readRule(odd, start).way, odd).toBe('rule')
      expect(rruleOf(readRule(odd, start))).toBe(odd)
    }
  })
  it('guesses the class of a title', () => {
    expect(['农技培训', '新闻联播', '防汛会议', '致富经', '电视剧'].map(guessClass)).toEqual([
      'training',
      'news',
      'meeting',
      'agriculture',
      '',
    ])
  })
  it('asks for a preview no further than the server looks', () => {
    const now = start.getTime()
    const days = (body: object) => (previewUntil(body as never, now).getTime() - now) / 86_400_000
    expect(days({})).toBe(35)
    expect(days({ end: end.toISOString() })).toBe(35)
    expect(days({ end: new Date(now + 50 * 86_400_000).toISOString() })).toBe(51)
    expect(days({ end: '2126-01-01T00:00:00Z' })).toBe(92)
    expect(days({ end: 'nonsense' })).toBe(35)
  })
})

const row = {
  id: 's',
  stream: 'channels/a',
  title: '培训',
  start: start.toISOString(),
  end: end.toISOString(),
  padding_before: 60,
  padding_after: 300,
  priority: 'training',
  format: 'ts',
  enabled: true,
}
const occurrence = (more: object = {}) =>
  occurrenceOf(
    {
      key: 'k',
      schedule: 's',
      stream: 'channels/a',
      title: '培训',
      start: start.toISOString(),
      end: end.toISOString(),
      record_from: new Date(start.getTime() - 60_000).toISOString(),
      record_to: new Date(end.getTime() + 300_000).toISOString(),
      state: 'planned',
      ...more,
    },
    'zh-CN',
  )!

describe('a schedule', () => {
  it('is changed as what it is: by times, by an event, by a title', () => {
    const times = scheduleOf({ ...row, rrule: 'FREQ=WEEKLY;BYDAY=TH', zone: 'Asia/Urumqi' })
    const form = formOfSchedule(times, occurrence())
    expect(form).toMatchObject({ way: 'weekly', before: 1, after: 5, format: 'ts' })
    form.way = 'once'
    expect(bodyOf(form, null, 'UTC', times)).toMatchObject({ rrule: '', zone: 'Asia/Urumqi' })
    expect(waysOf(times)).not.toContain('series')

    const guided = scheduleOf({ ...row, event: 7 })
    expect(waysOf(guided)).toEqual(['once'])
    expect(bodyOf(formOfSchedule(guided, occurrence()), null, 'UTC', guided)).not.toHaveProperty('start')
    expect(wholeOf(guided)).toMatchObject({ event: 7 })

    const series = scheduleOf({
      ...row,
      stream: '',
      match: { title: '培训', channels: ['b', 'c'], weekdays: ['MO'], from: '19:00' },
    })
    const found = formOfSchedule(series, occurrence())
    expect(found).toMatchObject({
      way: 'series',
      onlyHere: true,
      stream: 'channels/b',
      matchDays: ['MO'],
      matchFrom: '19:00',
    })
    expect(bodyOf(found, null, 'UTC', series)).toMatchObject({ match: { channels: ['b', 'c'] } })
    expect(waysOf(series)).toEqual(['series'])
  })
  it('is moved with all its times by a drag, and stretched at one end', () => {
    const weekly = scheduleOf({ ...row, rrule: 'FREQ=WEEKLY;BYDAY=TH' })
    // The occurrence of three weeks later is dragged by ten minutes.
    const later = 21 * 86_400_000
    const x = occurrence({
      start: new Date(start.getTime() + later).toISOString(),
      end: new Date(end.getTime() + later).toISOString(),
      record_from: new Date(start.getTime() + later - 60_000).toISOString(),
      record_to: new Date(end.getTime() + later + 300_000).toISOString(),
    })
    const ten = 600_000
    expect(changeOf(weekly, x, 'move', { start: x.start + ten, end: x.end + ten })).toEqual({
      start: new Date(start.getTime() + ten).toISOString(),
      end: new Date(end.getTime() + ten).toISOString(),
    })
    expect(changeOf(weekly, x, 'end', { start: x.start, end: x.end + ten })).toEqual({
      end: new Date(end.getTime() + ten).toISOString(),
    })
  })
  it('that follows the guide is recorded earlier or longer by a drag, and not moved', () => {
    const guided = scheduleOf({ ...row, event: 7 })
    const x = occurrence({ event: 7 })
    expect(movable(x, null)).toEqual(['start', 'end'])
    expect(changeOf(guided, x, 'move', { start: 0, end: 1 })).toBeNull()
    expect(changeOf(guided, x, 'end', { start: x.start, end: x.end + 600_000 })).toEqual({
      padding_after: 900,
    })
    expect(changeOf(guided, x, 'start', { start: x.asked.start + 60_000, end: x.end })).toEqual({
      padding_before: 0,
    })
  })
  it('that records now may only end later or sooner, and one that is over stays', () => {
    expect(movable(occurrence({ state: 'recording' }), null)).toEqual(['end'])
    for (const state of ['done', 'missed', 'skipped'])
      expect(movable(occurrence({ state }), null)).toEqual([])
    expect(movable(occurrence({ state: 'conflict' }), null)).toContain('move')
  })
})

describe('answers of the server', () => {
  it('without times have no place in the day', () => {
    expect(occurrenceOf({ key: 'x' }, 'en')).toBeNull()
    expect(streamKey('meetings/m/programme')).toBe('meetings/m')
    expect(weekdayOf(start)).toBe('TH')
  })
  it('of jobs are read whatever is missing, and put in order', () => {
    const jobs = [
      { id: '1', state: 'done', created: '2026-11-26T10:00:00Z' },
      { id: '2', state: 'failed', cause: { en: 'The disk is full.', zh: '磁盘已满。' } },
      { id: '3', state: 'running', progress: 1.7, eta_s: 90 },
      { id: '4', state: 'queued', eta_s: null },
    ].map((x) => jobOf(x, 'zh-CN'))
    expect(inOrder(jobs).map((j) => j.id)).toEqual(['3', '4', '2', '1'])
    expect(jobs[2]).toMatchObject({ progress: 1, eta: 90 })
    expect(jobs[1]).toMatchObject({ cause: '磁盘已满。', eta: null })
  })
})
