import { describe, expect, it, vi } from 'vitest'
import { results } from '../detail/checks'
import {
  type Alarm,
  occurrence,
  ordered,
  shownBy,
  summary,
  unacknowledged,
  type Watched,
  worst,
} from './alarms'
import { fit } from './fit'
import { groupOf } from './groups'
import { channelDetail, logged, watchedRow } from './reading'
import { Thumbnails } from './thumbnails'

const at = (minute: number): Date => new Date(Date.UTC(2026, 10, 24, 8, minute))

function channel(number: number, alarms: Alarm[] = [], more: Partial<Watched> = {}): Watched {
  return { id: `c${number}`, number, name: `频道${number}`, group: 'local', onBackup: false, alarms, ...more }
}

const black: Alarm = { kind: 'black', since: at(1) }
const loss: Alarm = { kind: 'continuity', since: at(2) }

describe('alarms', () => {
  it('take the severity of the worst', () => {
    expect(worst(channel(1))).toBeNull()
    expect(worst(channel(1, [loss]))).toBe('warn')
    expect(worst(channel(1, [loss, black]))).toBe('danger')
  })
  it('come first when asked for, in the order of channels within one severity', () => {
    const all = [channel(3), channel(4, [loss]), channel(2, [black]), channel(1, [black])]
    expect(ordered(all, 'fixed').map((c) => c.number)).toEqual([1, 2, 3, 4])
    expect(ordered(all, 'alarms').map((c) => c.number)).toEqual([1, 2, 4, 3])
  })
  it('are filtered by group, by kind and by being on a backup', () => {
    const all = [
      channel(1, [black]),
      channel(2, [loss], { group: 'central' }),
      channel(3, [], { onBackup: true }),
    ]
    const ids = (group: string, show: Parameters<typeof shownBy>[2]): string[] =>
      shownBy(all, group, show).map((c) => c.id)
    expect(ids('all', 'all')).toEqual(['c1', 'c2', 'c3'])
    expect(ids('central', 'all')).toEqual(['c2'])
    expect(ids('all', 'alarms')).toEqual(['c1', 'c2'])
    expect(ids('all', 'black')).toEqual(['c1'])
    expect(ids('all', 'backup')).toEqual(['c3'])
  })
  it('are counted by channel and by kind', () => {
    const counted = summary([channel(1, [black, loss]), channel(2, [black]), channel(3)])
    expect(counted).toMatchObject({ channels: 3, alarmed: 2, backup: 0 })
    expect([...counted.kinds]).toEqual([
      ['black', 2],
      ['continuity', 1],
    ])
  })
  it('ring again when a fault that was acknowledged comes back', () => {
    const acknowledged = new Set([occurrence('c1', black)])
    expect(unacknowledged([channel(1, [black])], acknowledged)).toEqual([])
    expect(unacknowledged([channel(1, [{ kind: 'black', since: at(9) }])], acknowledged)).toHaveLength(1)
  })
})

describe('the wall', () => {
  it('shows 49 channels at 1366×768 without scrolling, beside the menu and in full screen', () => {
    const beside = fit(49, 1122, 706, 6, 44)
    expect(beside).not.toBeNull()
    expect(beside!.rows * ((beside!.picture * 9) / 16 + 44) + 6 * (beside!.rows - 1)).toBeLessThanOrEqual(706)
    expect(fit(49, 1350, 712, 6, 44)!.picture).toBeGreaterThan(beside!.picture)
  })
  it('gives few channels large pictures', () => {
    expect(fit(1, 1122, 706, 6, 44)).toEqual({ columns: 1, rows: 1, picture: 1122 })
    expect(fit(4, 1122, 706, 6, 44)).toMatchObject({ columns: 2, rows: 2 })
  })
  it('scrolls when the pictures would be too small to be seen', () => {
    expect(fit(400, 1122, 706, 6, 44)).toBeNull()
    expect(fit(0, 1122, 706, 6, 44)).toBeNull()
  })
  it('knows the groups by the names', () => {
    expect(['CCTV-1 综合', 'cctv13', '中央一套', '湖南卫视', '平凉新闻'].map(groupOf)).toEqual([
      'central',
      'central',
      'central',
      'satellite',
      'local',
    ])
  })
})

describe('reading', () => {
  it('takes the alarms of the analysis, the worst first', () => {
    const quality = { alarms: ['continuity', 'black', 'invented'], since: '2026-11-24T08:01:00Z' }
    const row = watchedRow({ id: 'a', name: '中央一套', state: 'live', quality }, 4, 'zh-CN')
    expect(row.alarms).toEqual([black, { kind: 'continuity', since: at(1) }])
    expect(row).toMatchObject({ number: 5, group: 'central', onBackup: false, loudness: null, thumbnail: '' })
  })
  it('lets each alarm have its own time', () => {
    const quality = {
      alarms: ['loud'],
      raised: { loud: '2026-11-24T08:05:00Z' },
      since: '2026-11-24T08:01:00Z',
    }
    expect(watchedRow({ id: 'a', quality }, 0, 'en').alarms).toEqual([{ kind: 'loud', since: at(5) }])
  })
  it('alarms for a channel that is lost where nothing is analysed', () => {
    const row = { id: 'a', state: 'lost', since: '2026-11-24T08:02:00Z' }
    expect(watchedRow(row, 0, 'en').alarms).toEqual([{ kind: 'no_signal', since: at(2) }])
  })
  it('reads sources, PIDs and counts of the detail, and bears that they are missing', () => {
    const detail = channelDetail(
      {
        id: 'a',
        on_backup: true,
        sources: [
          { address: 'udp://1', active: false, state: 'lost', reason: { zh: '中断', en: 'lost' } },
          { address: 'udp://2', active: true, state: 'live' },
        ],
        quality: {
          tr101290: { sync_loss: 2 },
          pids: [{ pid: 257, bitrate: 3e6, codec: 'H.264' }],
          jitter_us: 12,
        },
      },
      'zh-CN',
    )
    expect(detail.sources.map((s) => [s.state, s.active, s.reason])).toEqual([
      ['lost', false, '中断'],
      ['live', true, ''],
    ])
    expect(detail.tr101290?.get('sync_loss')).toBe(2)
    expect(detail.pids).toEqual([{ pid: 257, codec: 'H.264', bitrate: 3e6 }])
    const bare = channelDetail({ id: 'a' }, 'en')
    expect([bare.tr101290, bare.jitter, bare.sources]).toEqual([null, null, []])
  })
  it('sets what was counted since the dialog opened apart from the past', () => {
    const rows = results(
      new Map([
        ['sync_loss', 3],
        ['pat_error', 9],
      ]),
      new Map([
        ['sync_loss', 7],
        ['pat_error', 4],
      ]),
    )
    expect(rows.map((r) => [r.clause, r.count, r.fresh])).toEqual([
      ['1.1', 3, 3],
      ['1.3', 9, 5],
    ])
  })
})

describe('the log', () => {
  it('is read with alarms that go on and alarms of other versions of the server', () => {
    expect(logged({ alarm: 'black', raised: '2026-11-24T08:01:00Z' })).toEqual({
      kind: 'black',
      name: 'black',
      from: at(1),
      until: null,
    })
    expect(
      logged({ alarm: 'new', raised: '2026-11-24T08:01:00Z', cleared: '2026-11-24T08:02:00Z' }),
    ).toMatchObject({ kind: null, name: 'new', until: at(2) })
    expect(logged({ alarm: 'black' })).toBeNull()
  })
})

describe('thumbnails', () => {
  function world(answer: (id: string) => Response) {
    const asked: { id: string; etag: string | null }[] = []
    const load = vi.fn((input: RequestInfo | URL, init?: RequestInit) => {
      const id = String(input).split('/')[4] ?? ''
      asked.push({ id, etag: new Headers(init?.headers).get('If-None-Match') })
      return Promise.resolve(answer(id))
    })
    const made = new Thumbnails(load as unknown as typeof fetch, 2)
    return { made, asked }
  }
  const picture = (etag: string): Response => new Response('jpeg', { status: 200, headers: { ETag: etag } })

  it('are fetched for what is in view, and only when there is another one', async () => {
    const { made, asked } = world((id) => picture(`"${id}"`))
    made.update([
      { id: 'a', version: '1' },
      { id: 'b', version: '1' },
    ])
    expect(asked).toEqual([])
    made.setVisible('a', true)
    await vi.waitFor(() => expect(made.urls.has('a')).toBe(true))
    made.update([{ id: 'a', version: '1' }])
    expect(asked.map((x) => x.id)).toEqual(['a'])
    made.update([{ id: 'a', version: '2' }])
    await vi.waitFor(() => expect(asked).toHaveLength(2))
    expect(asked[1]).toEqual({ id: 'a', etag: '"a"' })
    made.close()
  })
  it('stay when the server has nothing newer, and go with their channel', async () => {
    let status = 200
    const { made } = world(() => (status === 200 ? picture('"1"') : new Response(null, { status })))
    made.setVisible('a', true)
    made.update([{ id: 'a', version: '1' }])
    await vi.waitFor(() => expect(made.urls.has('a')).toBe(true))
    const before = made.urls.get('a')
    status = 304
    made.update([{ id: 'a', version: '2' }])
    await new Promise((done) => setTimeout(done))
    expect(made.urls.get('a')).toBe(before)
    made.update([])
    expect(made.urls.has('a')).toBe(false)
  })
  it('of the last tiles come before newer ones of the first tiles', async () => {
    const asked: string[] = []
    const done: (() => void)[] = []
    const made = new Thumbnails(
      ((input: string) => {
        asked.push(input.split('/')[4]!)
        return new Promise((resolve) => done.push(() => resolve(picture('"1"'))))
      }) as unknown as typeof fetch,
      1,
    )
    const list = (version: string) => ['a', 'b', 'c'].map((name) => ({ id: name, version }))
    for (const { id: name } of list('')) made.setVisible(name, true)
    made.update(list('1'))
    for (let i = 0; i < 3; i++) {
      made.update(list(String(i + 2))) // a picture takes longer than the server to make another
      done[i]!()
      await vi.waitFor(() => expect(asked).toHaveLength(i + 2))
    }
    expect(asked).toEqual(['a', 'b', 'c', 'a'])
    made.close()
  })
  it('leave connections to others: few are fetched at once', async () => {
    let running = 0
    let most = 0
    const made = new Thumbnails(
      (async () => {
        most = Math.max(most, ++running)
        await new Promise((done) => setTimeout(done))
        running--
        return picture('"1"')
      }) as unknown as typeof fetch,
      2,
    )
    const ids = Array.from({ length: 9 }, (_, i) => `c${i}`)
    for (const id of ids) made.setVisible(id, true)
    made.update(ids.map((id) => ({ id, version: '1' })))
    await vi.waitFor(() => expect(made.urls.size).toBe(9))
    expect(most).toBe(2)
    made.close()
  })
})
