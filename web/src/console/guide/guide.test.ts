import { describe, expect, it, vi } from 'vitest'
import { blockLength, blockOf, GuideBlocks, stale } from './blocks'
import { type GuideEvent, guideEvent } from './events'
import {
  day,
  hour,
  neighbour,
  placed,
  seenRows,
  ticks,
  timelineAround,
  timesIn,
  widthOf,
  xOf,
} from './timeline'

const noon = new Date(2026, 10, 24, 12).getTime()

function event(start: number, minutes: number, more: Partial<GuideEvent> = {}): GuideEvent {
  const end = start + minutes * 60_000
  return {
    channel: 'cctv1',
    id: String(start),
    title: '新闻',
    summary: '',
    text: '',
    start,
    end,
    genre: '',
    language: 'zho',
    ...more,
  }
}

describe('events', () => {
  it('without a length have no place', () => {
    expect(guideEvent({ title: 'x', start: '2026-11-24T08:00:00Z', end: '2026-11-24T08:00:00Z' })).toBeNull()
    expect(guideEvent({ title: 'x', start: 'soon', end: '2026-11-24T08:00:00Z' })).toBeNull()
    expect(
      guideEvent({
        channel: 'a',
        event_id: 7,
        title: 'x',
        start: '2026-11-24T08:00:00Z',
        end: '2026-11-24T08:30:00Z',
      }),
    ).toMatchObject({ id: '7', end: Date.UTC(2026, 10, 24, 8, 30) })
  })
})

describe('the timeline', () => {
  const line = timelineAround(noon, 240)
  it('reaches from a week back to a week ahead, and to the pixel', () => {
    expect([line.from, line.to].map((at) => new Date(at).getHours())).toEqual([0, 0])
    expect(line.from).toBeLessThanOrEqual(noon - 7 * day)
    expect(line.to).toBeGreaterThanOrEqual(noon + 7 * day)
    expect(xOf(line, line.from + hour)).toBe(240)
    expect(widthOf(line)).toBe(15 * 24 * 240)
  })
  it('has marks at whole hours, more of them when there is room', () => {
    expect(ticks({ ...line, zoom: 90 }, noon, noon + 3 * hour)).toHaveLength(3)
    expect(ticks({ ...line, zoom: 400 }, noon, noon + 3 * hour)).toHaveLength(6)
  })
  it('draws what is in sight only: 49 channels × 15 days stay a few hundred elements', () => {
    const list = Array.from({ length: 15 * 48 }, (_, i) => event(line.from + i * 30 * 60_000, 30))
    const view = { left: xOf(line, noon), top: 600, width: 1000, height: 600 }
    const times = timesIn(view, line)
    const rows = seenRows(
      Array.from({ length: 49 }, (_, i) => ({ top: i * 60, height: 60 })),
      view,
    )
    const drawn = placed(list, line, times.from, times.to)
    expect(drawn.length * (rows.to - rows.from)).toBeLessThan(400)
    expect(drawn[0]!.left).toBeLessThanOrEqual(view.left)
    expect(drawn.at(-1)!.left + drawn.at(-1)!.width).toBeGreaterThanOrEqual(view.left + view.width)
  })
  it('shows a second event at the same time after the first, or not at all', () => {
    const drawn = placed(
      [event(noon, 60), event(noon + hour / 2, 60), event(noon, 30)].sort((a, b) => a.start - b.start),
      line,
      noon - hour,
      noon + day,
    )
    for (const [i, p] of drawn.entries()) if (i > 0) expect(p.left).toBeGreaterThanOrEqual(drawn[i - 1]!.left)
    expect(drawn.reduce((sum, p) => sum + p.width, 0)).toBeCloseTo(
      xOf(line, noon + 1.5 * hour) - xOf(line, noon),
    )
  })
  it('leads arrow keys to the next event and to the next channel at that time', () => {
    const [a1, a2] = [event(noon, 60), event(noon + hour, 60)]
    const b = event(noon + hour / 3, 90, { channel: 'b' })
    const rows = [[a1, a2], [], [b]]
    expect(neighbour(rows, 0, a1, 'ArrowRight')).toEqual({ row: 0, event: a2 })
    expect(neighbour(rows, 0, a1, 'ArrowLeft')).toBeNull()
    expect(neighbour(rows, 0, a1, 'ArrowDown')).toEqual({ row: 2, event: b })
    expect(neighbour(rows, 2, b, 'ArrowUp')?.row).toBe(0)
    expect(neighbour(rows, 2, b, 'Enter')).toBeNull()
  })
})

describe('blocks', () => {
  const settled = (): Promise<void> => new Promise((done) => setTimeout(done))
  it('are fetched once while they are new, by pages, and again when they are old', async () => {
    const begin = blockOf(noon) * blockLength
    const all = Array.from({ length: 700 }, (_, i) => event(begin + i * 1_000, 1, { id: String(i) }))
    const fetchPage = vi.fn((from: number, _to: number, offset: number, limit: number) => {
      const rows = from === begin ? all.slice(offset, offset + limit) : []
      return Promise.resolve({ events: rows, read: rows.length, total: from === begin ? all.length : 0 })
    })
    const blocks = new GuideBlocks(fetchPage, (cause) => expect.unreachable(String(cause)))
    blocks.want(begin, begin + hour, noon)
    blocks.want(begin, begin + hour, noon)
    await settled()
    expect(fetchPage).toHaveBeenCalledTimes(2)
    expect(blocks.channels.get('cctv1')).toHaveLength(700)
    blocks.want(begin, begin + hour, noon + stale - 1)
    expect(fetchPage).toHaveBeenCalledTimes(2)
    blocks.want(begin, begin + hour, noon + stale)
    await settled()
    expect(fetchPage).toHaveBeenCalledTimes(4)
    expect(blocks.channels.get('cctv1')).toHaveLength(700)
  })
  it('forget what the broadcaster took out', async () => {
    let rows = [event(noon, 30), event(noon + hour, 30)]
    const blocks = new GuideBlocks(
      () => Promise.resolve({ events: rows, read: rows.length, total: rows.length }),
      () => undefined,
    )
    blocks.want(noon, noon + 1, 0)
    await settled()
    rows = rows.slice(1)
    blocks.want(noon, noon + 1, stale)
    await settled()
    expect(blocks.channels.get('cctv1')).toEqual(rows)
  })
  it('that have left the sight are not waited for', async () => {
    const signals: AbortSignal[] = []
    const blocks = new GuideBlocks(
      (_from, _to, _offset, _limit, signal) => {
        signals.push(signal)
        return new Promise(() => undefined)
      },
      (cause) => expect.unreachable(String(cause)),
    )
    blocks.want(noon, noon + 1, 0)
    blocks.want(noon + 5 * day, noon + 5 * day + 1, 0)
    expect(signals.map((s) => s.aborted)).toEqual([true, false])
    blocks.close()
    expect(signals.every((s) => s.aborted)).toBe(true)
  })
})
