import { describe, expect, it } from 'vitest'
import { whepAddress } from './player-whep'
import { ceiling, nextQuality, parseLine, parseQuality, streamAddresses } from './quality'
import { remembered, soundName, soundsOf } from './sound'

describe('quality', () => {
  const levels = [2_400_000, 800_000, 350_000]
  it.each([
    ['everything on an unknown line', levels, 'auto', 0, 0],
    ['10 Mbit/s carries the source', levels, 'auto', 10e6, 0],
    ['2 Mbit/s does not carry 2.4', levels, 'auto', 2e6, 1],
    ['1 Mbit/s just carries 800', levels, 'auto', 1e6, 1],
    ['half of that does not', levels, 'auto', 0.5e6, 2],
    ['standard', levels, '800', 0, 1],
    ['smooth', levels, '350', 10e6, 2],
    ['a poor source below the low rates', [300_000], '800', 0, 0],
    ['nothing fits: the lowest', levels, 'auto', 0.1e6, 2],
    ['standard where only the source is offered', [2_400_000], '800', 0, 0],
  ] as const)('%s', (_, rates, quality, line, want) => {
    expect(ceiling(rates, quality, line)).toBe(want)
  })
  it('is read leniently', () => {
    expect([parseQuality('350'), parseQuality('4k'), parseQuality(null)]).toEqual(['350', 'auto', 'auto'])
    expect([parseLine('2'), parseLine('0.5'), parseLine('-1'), parseLine('x'), parseLine(null)]).toEqual([
      2_000_000, 500_000, 0, 0, 0,
    ])
    expect(nextQuality('350')).toBe('auto')
  })
  it('asks for a fixed low rate by itself, with the whole to fall back to', () => {
    expect(streamAddresses('channels/a', '800')).toEqual({
      first: '/hls/channels/a/hls-800/index.m3u8',
      fallback: '/hls/channels/a/index.m3u8',
    })
    expect(streamAddresses('channels/a', 'auto').fallback).toBeNull()
    expect(whepAddress('channels/a', { quality: '350', line: 0, language: 'en', sound: 'bod' })).toBe(
      '/whep/channels/a?quality=350&audio=bod',
    )
    expect(whepAddress('channels/a', { quality: 'auto', line: 0, language: 'en', sound: '' })).toBe(
      '/whep/channels/a',
    )
  })
})

describe('sound', () => {
  it('is called by the server in Chinese and by the browser in English', () => {
    const tibetan = { key: 'bo', name: '藏语' }
    expect([soundName(tibetan, 'zh-CN'), soundName(tibetan, 'en')]).toEqual(['藏语', 'Tibetan'])
    expect(soundName({ key: 'zh', name: '普通话' }, 'en')).toBe('Mandarin')
    expect(soundName({ key: '伴音 2', name: '伴音 2' }, 'en')).toBe('伴音 2')
  })
  it('is a choice only where languages differ', () => {
    expect(soundsOf(['zho'], 'zh-CN')).toEqual([])
    expect(soundsOf(['zho', 'zho', ''], 'zh-CN')).toEqual([])
    expect(soundsOf(['zho', 'bod'], 'zh-CN')).toEqual([
      { key: 'zho', name: '普通话' },
      { key: 'bod', name: '藏语' },
    ])
  })
  it('is found again by what was remembered', () => {
    const list = soundsOf(['zho', 'eng'], 'en')
    expect([remembered(list, 'eng'), remembered(list, 'fra'), remembered(list, '')]).toEqual([1, -1, -1])
  })
})
