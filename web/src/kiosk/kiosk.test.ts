import { describe, expect, it } from 'vitest'
import { retryDelay } from './backoff'
import { splitToken } from './device'
import { combine } from './guide'
import { command } from './keys'
import { chooseLanguage, words } from './locales'
import { nextReload, reloadDue } from './reload'

describe('nightly reload', () => {
  const at = (h: number, m: number, s = 0): Date => new Date(2026, 10, 24, h, m, s)
  it.each([
    ['evening: tomorrow', at(22, 0), 0.5, new Date(2026, 10, 25, 3, 30)],
    ['midnight: today', at(0, 10), 0, at(3, 0)],
    ['last minute of the hour', at(0, 10), 0.9999, at(3, 59)],
    ['just reloaded: not again this night', at(3, 30), 0.5, new Date(2026, 10, 25, 3, 30)],
    ['within the hour, minute still to come', at(3, 10), 0.5, at(3, 30)],
  ])('%s', (_, now, random, want) => {
    expect(nextReload(now, random)).toEqual(want)
  })
  it('waits for the server, because an error page of the browser never goes away', () => {
    expect(reloadDue(at(3, 30), at(3, 31), false)).toBe(false)
    expect(reloadDue(at(3, 30), at(3, 31), true)).toBe(true)
    expect(reloadDue(at(3, 30), at(3, 29), true)).toBe(false)
    expect(reloadDue(null, at(3, 31), true)).toBe(false)
  })
})

describe('back-off', () => {
  it('never exceeds 30 s by more than its spread, however long it goes on', () => {
    for (let attempt = 0; attempt < 100_000; attempt += 997) {
      expect(retryDelay(attempt, 0.999)).toBeLessThanOrEqual(37_500)
      expect(retryDelay(attempt, 0)).toBeGreaterThanOrEqual(750)
    }
  })
})

describe('device token', () => {
  it.each([
    ['https://city/kiosk?channel=a#token=k1', 'k1', 'https://city/kiosk?channel=a'],
    ['https://city/kiosk?token=k2&channel=a', 'k2', 'https://city/kiosk?channel=a'],
    ['https://city/kiosk?channel=a', '', 'https://city/kiosk?channel=a'],
  ])('is taken out of %s', (address, token, clean) => {
    expect(splitToken(address)).toEqual({ token, clean })
  })
})

describe('guide', () => {
  it('numbers channels in their order and puts meetings that are on behind them', () => {
    const list = combine(
      {
        channels: [
          { id: 'a', name: '中央一套', state: 'live' },
          { id: 'b', name: '', state: 'lost', reason: { zh: '源中断', en: 'source lost' } },
        ],
      },
      [
        { id: '42', title: '防汛会', live: 3 },
        { id: '43', title: '空会', live: 0 },
      ],
      'zh-CN',
    )
    expect(list.map((c) => [c.number, c.name, c.stream, c.live, c.reason])).toEqual([
      [1, '中央一套', 'channels/a', true, ''],
      [2, 'b', 'channels/b', false, '源中断'],
      [901, '防汛会', 'meetings/42/programme', true, ''],
    ])
  })
  it('marks what no browser can play', () => {
    const list = combine([{ id: 'a', playable: 'unplayable', reason: '节目已加密' }], null, 'en')
    expect(list[0]).toMatchObject({ playable: false, reason: '节目已加密' })
  })
  it('survives an answer that is no list', () => {
    for (const odd of [null, 1, 'x', {}, { channels: 7 }, [null, 3]])
      expect(combine(odd, odd, 'en')).toEqual([])
  })
})

describe('keys', () => {
  it.each([
    ['ArrowUp', { kind: 'up' }],
    ['7', { kind: 'digit', digit: 7 }],
    ['GoBack', { kind: 'back' }],
    ['x', { kind: 'any' }],
    ['F12', { kind: 'any' }],
  ])('%s', (key, want) => {
    expect(command(key)).toEqual(want)
  })
})

describe('words', () => {
  it('exist in both languages', () => {
    expect(Object.keys(words('en').sentences)).toEqual(Object.keys(words('zh-CN').sentences))
  })
  it('are Chinese unless English is asked for', () => {
    expect(chooseLanguage(new URLSearchParams(''), '')).toBe('zh-CN')
    expect(chooseLanguage(new URLSearchParams('lang=en'), 'zh-CN')).toBe('en')
    expect(chooseLanguage(new URLSearchParams(''), 'en')).toBe('en')
  })
})
