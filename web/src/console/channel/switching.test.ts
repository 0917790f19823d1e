import { describe, expect, it } from 'vitest'
import { playAddresses, pushAddresses } from '../detail/addresses'
import { bitsOf, outputRow } from '../outputs/outputs'
import { preset, presetOf, ruleJson, ruleOf, sameRule, seconds, usual } from './switching'

describe('a switching rule', () => {
  it.each([
    ['1s', 1],
    ['1m0s', 60],
    ['1h2m3.5s', 3723.5],
    ['500ms', 0.5],
    ['1.5s', 1.5],
  ])('reads %s', (text, want) => expect(seconds(text)).toBeCloseTo(want))
  it.each(['', '5', 's', '5 s', '1s x'])('does not read %j', (text) => expect(seconds(text)).toBeNull())
  it('comes back from the server as it was sent', () => {
    const rule = { ...usual, on: ['no_packets', 'black'] as const, back: 'manual' as const, standby: true }
    expect(ruleOf(ruleJson(rule))).toEqual(rule)
    expect(sameRule(ruleOf(JSON.parse(JSON.stringify(ruleJson(rule)))), rule)).toBe(true)
    expect(sameRule(rule, usual)).toBe(false)
  })
  it('is the usual one where the server says nothing', () => expect(ruleOf(undefined)).toEqual(usual))
  it('tells “no fault counts” from “nothing was said”', () => {
    expect(ruleOf({ on: [] }).on).toEqual([])
    expect(ruleOf({}).on).toEqual(usual.on)
  })
  it('is named by its preset, and a preset keeps the times that were set', () => {
    const patient = { ...usual, after: { ...usual.after, black: 20 } }
    for (const name of ['auto', 'manual', 'off'] as const) {
      const made = preset(name, patient)
      expect(presetOf(made)).toBe(name)
      expect(made.after.black).toBe(20)
    }
    expect(preset('auto', preset('off', usual)).on).toEqual(usual.on)
    expect(presetOf({ ...usual, back: 'never' })).toBeNull()
  })
})

describe('addresses', () => {
  const at = { origin: 'https://[fd00::1]:8443', hostname: '[fd00::1]' }
  const ports = { rtsp: 8554, rtmp: 1935 }
  it('of players name every way to watch', () => {
    expect(playAddresses(at, ports, 'cctv1', '').map((a) => a.url)).toEqual([
      'https://[fd00::1]:8443/hls/channels/cctv1/index.m3u8',
      'https://[fd00::1]:8443/ts/channels/cctv1',
      'rtsp://[fd00::1]:8554/channels/cctv1',
      'https://[fd00::1]:8443/whep/channels/cctv1',
    ])
  })
  it('carry the token where the protocol has no header for it', () => {
    expect(
      pushAddresses(at, ports, 'studio', 'a+b').map((a) => [a.url.includes('token=a%2Bb'), a.header]),
    ).toEqual([
      [true, false],
      [true, false],
      [false, true],
    ])
  })
})

describe('addresses of protocols that are off', () => {
  it('are not shown, and ports are the server’s', () => {
    const at = { origin: 'http://10.0.0.1', hostname: '10.0.0.1' }
    const urls = pushAddresses(at, { rtsp: 9554, rtmp: 0 }, 'news', '').map((a) => a.url)
    expect(urls).toEqual(['rtsp://10.0.0.1:9554/channels/news', 'http://10.0.0.1/whip/channels/news'])
  })
})

describe('outputs', () => {
  it('are read with what was lost, without what was not', () => {
    const row = outputRow(
      {
        id: 'uplink',
        stream: 'channels/a',
        address: 'udp://239.9.9.9:5000',
        bitrate: 0,
        service_id: 101,
        state: 'overloaded',
        reason: { code: 'x', zh: '码率不足', en: 'too small' },
        bitrate_now: 6e6,
        errors: { late: 3, lost: 0 },
      },
      'zh-CN',
    )
    expect(row).toMatchObject({
      state: 'overloaded',
      reason: '码率不足',
      sent: 6e6,
      errors: [{ name: 'late', count: 3 }],
    })
    expect(outputRow({ state: 'new' }, 'en').state).toBe('unknown')
  })
  it('take megabits and leave the choice to the server when there are none', () => {
    expect([bitsOf(6), bitsOf(0.8), bitsOf(undefined)]).toEqual([6_000_000, 800_000, 0])
  })
})
