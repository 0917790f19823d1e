import { describe, expect, it } from 'vitest'
import { type ListedSchedule, listedSchedule } from '../home/plan'
import { foreignZone, found, isOver, isWanted, onceSpan, streamsOf } from './list'

const time = { start: '2026-12-02T01:00:00Z', end: '2026-12-02T02:00:00Z' }
const row = (part: object): ListedSchedule =>
  listedSchedule(
    {
      id: 'x',
      stream: 'channels/c',
      title: '农技培训',
      rule: { en: 'Every Wed 09:00–10:00', zh: '每周三 09:00–10:00' },
      rrule: 'FREQ=WEEKLY',
      ...time,
      ...part,
    },
    'zh-CN',
  )
const next = { key: 'n', schedule: 'x', state: 'planned', ...time }

describe('the list of schedules', () => {
  it('reads what the server says of a schedule', () => {
    const x = row({
      next,
      last: { ...next, state: 'missed', reason: { code: 'source_gone', zh: '信号源无内容' } },
    })
    expect(x.rule).toBe('每周三 09:00–10:00')
    expect(x.next?.start).toBe(Date.parse(time.start))
    expect([x.last?.state, x.last?.reason]).toEqual(['missed', '信号源无内容'])
    expect(row({}).next).toBeNull()
    expect(row({ next: 'soon', last: 7, rule: null }).rule).toBe('')
  })
  it('finds all words in the title, the channel and the rule', () => {
    const rows = [row({}), row({ id: 'y', title: '新闻联播', rule: { zh: '每天 19:00–19:30' } })]
    const ids = (words: string): string[] =>
      found(rows, words, '', (x) => (x.id === 'x' ? 'CCTV-7' : '甘肃卫视')).map((x) => x.id)
    expect(ids('')).toEqual(['x', 'y'])
    expect(ids('cctv 周三')).toEqual(['x'])
    expect(ids('每')).toEqual(['x', 'y'])
    expect(ids('周三 甘肃')).toEqual([])
  })
  it('puts what is next first, and what records before it', () => {
    const rows = [
      row({ id: 'over' }),
      row({ id: 'later', next: { ...next, start: '2026-12-09T01:00:00Z', end: '2026-12-09T02:00:00Z' } }),
      row({ id: 'off', enabled: false, next }),
      row({ id: 'soon', next }),
      row({ id: 'now', recording: true }),
    ]
    expect(found(rows, '', '', () => '').map((x) => x.id)).toEqual(['now', 'soon', 'later', 'over', 'off'])
  })
  it('tells those apart that need a look', () => {
    const missed = row({ last: { ...next, state: 'missed' } })
    const collides = row({ next: { ...next, state: 'conflict' } })
    expect([missed, collides, row({ next })].map((x) => isWanted(x, 'trouble'))).toEqual([true, true, false])
    expect(isWanted(row({ enabled: false }), 'off')).toBe(true)
    expect(isWanted(row({ enabled: false }), 'on')).toBe(false)
    expect(isWanted(row({ recording: true }), 'recording')).toBe(true)
  })
  it('does not call over what may come again', () => {
    expect(isOver(row({}))).toBe(true)
    expect(isOver(row({ next }))).toBe(false)
    expect(isOver(row({ recording: true }))).toBe(false)
    expect(isOver(row({ enabled: false }))).toBe(false)
    expect(isOver(row({ rrule: '', match: { title: '小麦栽培' } }))).toBe(false)
    expect(isOver(row({ rrule: '', event: 7 }))).toBe(false)
    expect(isOver(row({ rrule: '', event: 7, last: { ...next, state: 'done' } }))).toBe(true)
  })
  it('names the channels of a title', () => {
    expect(streamsOf(row({}))).toEqual(['channels/c'])
    expect(streamsOf(row({ stream: '', match: { title: 'x' } }))).toEqual([])
    expect(streamsOf(row({ stream: '', match: { title: 'x', channels: ['a', 'b'] } }))).toEqual([
      'channels/a',
      'channels/b',
    ])
  })
  it("says what comes once by the reader's clock, over midnight with both days", () => {
    const now = new Date('2026-11-26T12:00')
    const once = (start: string, end: string): string =>
      onceSpan(
        row({ rrule: '', start: new Date(start).toISOString(), end: new Date(end).toISOString() }),
        now,
        'en',
      )
    expect(once('2026-12-02T09:00', '2026-12-02T10:00')).toBe('Dec 2, 09:00–10:00')
    expect(once('2026-12-02T23:00', '2026-12-03T01:00')).toBe('Dec 2, 23:00–Dec 3, 01:00')
    expect(onceSpan(row({}), now, 'en')).toBe('')
  })
  it('names a zone that is not the one of the reader', () => {
    expect(foreignZone(row({ zone: 'Asia/Urumqi' }), 'Asia/Shanghai')).toBe('Asia/Urumqi')
    expect(foreignZone(row({ zone: 'Asia/Shanghai' }), 'Asia/Shanghai')).toBe('')
    expect(foreignZone(row({ zone: 'Asia/Urumqi', rrule: '' }), 'Asia/Shanghai')).toBe('')
  })
})
