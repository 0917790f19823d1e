import { describe, expect, it } from 'vitest'
import { bitrate, bytes, clock, duration, moment, since, timeOfDay } from './format'
import en from './locales/en'
import zh from './locales/zh'
import { sentence } from './fields'
import { channelRow, deviceRow, recordingRow } from './rows'

describe('numbers in words', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 KB'],
    [123_456_789, '123 MB'],
    [4_700_000_000, '4.7 GB'],
    [9e15, '9000 TB'],
  ])('%d bytes', (n, want) => expect(bytes(n)).toBe(want))
  it.each([
    [0, '0:00'],
    [59.9, '0:59'],
    [600, '10:00'],
    [3_661, '1:01:01'],
    [-3, '0:00'],
  ])('%d seconds', (n, want) => expect(duration(n)).toBe(want))
  it.each([
    [512_000, '512 kbit/s'],
    [3_240_000, '3.2 Mbit/s'],
  ])('%d bit/s', (n, want) => expect(bitrate(n)).toBe(want))
  it('says how long a state lasts', () => {
    const now = new Date(2026, 10, 24, 12)
    const ago = (s: number): Date => new Date(now.getTime() - s * 1000)
    expect([5, 61, 7_200, 200_000, -9].map((s) => since(ago(s), now, 'zh-CN'))).toEqual([
      '5 秒',
      '1 分钟',
      '2 小时',
      '2 天',
      '0 秒',
    ])
    expect(since(ago(61), now, 'en')).toBe('1 min')
  })
  it('calls midnight 00:00 in both languages', () => {
    const midnight = new Date(2026, 10, 24, 0, 5, 9)
    for (const language of ['zh-CN', 'en']) {
      expect(timeOfDay(midnight.getTime(), language)).toBe('00:05')
      expect(moment(midnight, midnight, language)).toContain('00:05')
      expect(clock(midnight, language)).toMatch(/^0?0:05:09$/)
    }
  })
  it('names the year only when it is another one', () => {
    const now = new Date(2026, 10, 24, 12)
    expect(moment(new Date(2026, 10, 3, 9, 5), now, 'zh-CN')).not.toContain('2026')
    expect(moment(new Date(2025, 10, 3, 9, 5), now, 'zh-CN')).toContain('2025')
    expect(moment(null, now, 'en')).toBe('')
  })
})

describe('rows', () => {
  it('reads a channel with its state inside or beside it', () => {
    const state = {
      state: 'lost',
      since: '2026-11-24T01:00:00Z',
      reason: { code: 'x', zh: '源中断', en: 'source lost' },
    }
    const inside = channelRow({ id: 'a', name: '中央一套', status: state }, 0, 'zh-CN')
    expect(inside).toMatchObject({ number: 1, state: 'lost', reason: '源中断' })
    expect(channelRow({ id: 'a', name: '中央一套', ...state }, 0, 'zh-CN')).toEqual(inside)
  })
  it('names the codecs of a channel', () => {
    const row = {
      id: 'a',
      tracks: [
        { codec: 'H.264', width: 1920, height: 1080 },
        { codec: 'AAC', language: 'zho' },
      ],
    }
    expect(channelRow(row, 0, 'en').codecs).toEqual(['H.264 1920×1080', 'AAC Mandarin'])
  })
  it('takes the zero time of the server for no time', () => {
    expect(deviceRow({ id: '1', seen: '0001-01-01T00:00:00Z' }).seen).toBeNull()
  })
  it('computes the length of a recording from its ends when the server does not say it', () => {
    const row = {
      id: '1',
      started: '2026-11-24T01:00:00Z',
      ended: '2026-11-24T01:01:30Z',
      state: 'interrupted',
    }
    expect(recordingRow(row, 'en')).toMatchObject({ duration: 90, state: 'interrupted' })
  })
  it('shows the code when there is no sentence', () => {
    expect(sentence({ code: 'source_lost' }, 'en')).toBe('source_lost')
    expect(sentence(null, 'en')).toBe('')
  })
})

describe('sentences', () => {
  const keys = (tree: object, path = ''): string[] =>
    Object.entries(tree).flatMap(([k, v]) =>
      typeof v === 'object' ? keys(v as object, `${path}${k}.`) : [`${path}${k}`],
    )
  it('exist in both languages', () => expect(keys(en)).toEqual(keys(zh)))
})
