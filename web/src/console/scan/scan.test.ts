import { describe, expect, it } from 'vitest'
import { hasSecret, looksLikeAddress, remembered } from '../parts/address'
import { madeOf, type Plan, planned, problemOf, scanOf, type Service, suggestedId, validId } from './scan'

const service = (id: number, name: string, more: Partial<Service> = {}): Service => ({
  id,
  name,
  provider: '',
  lcn: 0,
  scrambled: false,
  playable: true,
  transcoded: false,
  reason: '',
  codecs: [],
  now: '',
  next: '',
  channel: '',
  ...more,
})

describe('a scan', () => {
  it('reads services with their reasons and codecs', () => {
    const scan = scanOf(
      {
        id: 's1',
        state: 'running',
        progress: 0.4,
        services: [
          {
            service_id: 101,
            name: 'CCTV-1 综合',
            provider: '总台',
            lcn: 1,
            scrambled: false,
            playable: 'needs_transcoding',
            streams: [
              { pid: 257, codec: 'MPEG-2', width: 720, height: 576 },
              { codec: 'MP2', language: 'zho' },
              { codec: 'MP2', language: 'zho' },
            ],
            now: { title: '新闻联播' },
          },
          {
            service_id: 102,
            scrambled: true,
            playable: false,
            reason: { code: 'scrambled', zh: '节目加扰', en: 'scrambled' },
          },
        ],
      },
      'zh-CN',
    )
    expect(scan).toMatchObject({ id: 's1', state: 'running', progress: 0.4 })
    expect(scan.services[0]).toMatchObject({
      id: 101,
      lcn: 1,
      playable: true,
      transcoded: true,
      codecs: ['MPEG-2 720×576', 'MP2 普通话'],
      now: '新闻联播',
    })
    expect(scan.services[1]).toMatchObject({
      name: '102',
      playable: false,
      scrambled: true,
      reason: '节目加扰',
    })
  })
  it('reads what became of each service', () => {
    const made = madeOf(
      [
        { service_id: 101, channel: 'cctv-1' },
        { service_id: 102, code: 'channel_exists', detail: '该频道编号已存在。' },
      ],
      'zh-CN',
    )
    expect(made.get(101)).toEqual({ channel: 'cctv-1', problem: '' })
    expect(made.get(102)?.problem).toBe('该频道编号已存在。')
  })
})

describe('plans', () => {
  it.each([
    ['CCTV-1 综合', 'cctv-1'],
    ['CCTV-5+体育赛事', 'cctv-5plus'],
    ['湖南卫视HD', 's9'],
    ['平凉新闻综合', 's9'],
    ['  ', 's9'],
    ['1', 's1'],
  ])('make of %s the id %s', (name, id) => expect(suggestedId(service(9, name), new Set())).toBe(id))
  it('give no id twice', () => {
    const plans = planned([service(1, 'CCTV-1'), service(2, 'CCTV 1')], new Map(), ['cctv-1'])
    expect([...plans.values()].map((p) => p.id)).toEqual(['cctv-1-2', 'cctv-1-3'])
    expect([...plans.values()].every((p) => validId(p.id))).toBe(true)
  })
  it('choose what plays and is no channel yet, and keep what was typed while more is found', () => {
    const first = planned([service(1, 'CCTV-1')], new Map(), [])
    Object.assign(first.get(1)!, { name: '央视一套', touched: true })
    const more = [
      service(1, 'CCTV-1'),
      service(2, 'B', { playable: false }),
      service(3, 'C', { channel: 'c' }),
    ]
    const plans = planned(more, first, [])
    expect(plans.get(1)).toEqual({ chosen: true, id: 'cctv-1', name: '央视一套', touched: true })
    expect(plans.get(2)?.chosen).toBe(false)
    expect(plans.get(3)).toEqual({ chosen: false, id: 'c', name: 'C', touched: false })
  })
  it('follow a scan that learns names and codecs later', () => {
    const early = planned([service(7, '7', { playable: false })], new Map(), [])
    expect(early.get(7)).toMatchObject({ id: 's7', chosen: false })
    const late = planned([service(7, 'CCTV-7 国防军事')], early, [])
    expect(late.get(7)).toEqual({ chosen: true, id: 'cctv-7', name: 'CCTV-7 国防军事', touched: false })
  })
  it('say what is wrong with an id, only where it matters', () => {
    const plan = (id: string, chosen = true, name = 'x'): Plan => ({
      chosen,
      id,
      name,
      touched: false,
    })
    const all = [plan('a'), plan('a'), plan('b')]
    expect(problemOf(all[0]!, all, new Set())).toBe('twice')
    expect(problemOf(plan('A b'), all, new Set())).toBe('id')
    expect(problemOf(plan('b'), all, new Set(['b']))).toBe('taken')
    expect(problemOf(plan('c', true, ' '), all, new Set())).toBe('name')
    expect(problemOf(plan('A b', false), all, new Set())).toBeNull()
  })
})

describe('addresses', () => {
  it.each([
    'udp://:5000',
    'rtp://239.1.1.1:1',
    'srt://a:1?mode=listener',
    'exec:zap?channel=1',
    'file:///a.ts',
    'push:',
  ])('%s looks like one', (address) => expect(looksLikeAddress(address)).toBe(true))
  it.each(['', '239.1.1.1:5000', 'udp:/x', 'file://a.ts', 'ftp://x', 'exec:'])('%s does not', (address) =>
    expect(looksLikeAddress(address)).toBe(false),
  )
  it('with a secret are not kept in the browser', () => {
    expect(hasSecret('rtsp://admin:1234@10.0.0.9/a')).toBe(true)
    expect(hasSecret('srt://a:1?latency=80&passphrase=0123456789')).toBe(true)
    expect(hasSecret('udp://eth1@239.1.1.1:5000')).toBe(false)
    expect(remembered(['udp://a'], 'rtsp://u:p@b')).toEqual(['udp://a'])
  })
  it('used last come first, and only a few are kept', () => {
    expect(remembered(['a', 'b'], 'b')).toEqual(['b', 'a'])
    expect(remembered(['1', '2', '3', '4', '5', '6', '7', '8'], '9')).toHaveLength(8)
  })
})
