import { describe, expect, it, vi } from 'vitest'
import { Blocks, type Part } from './blocks'
import { everything, narrowed, queryOf } from './filter'
import { gapsOf, libraryRow, recordingOf } from './recording'
import { assigned, poolSize, spare, windowOf } from './rowwindow'
import { cellOf, cellStyle, sheetOf } from './sprite'

describe('the filter as a query', () => {
  it('asks for nothing that is not wanted', () => {
    expect(queryOf(everything()).toString()).toBe('')
    expect(narrowed(everything(true))).toBe(false)
  })
  it('trims words and keeps Chinese', () => {
    const q = queryOf({ ...everything(), q: ' 防汛 ', class: 'meeting', state: 'failed' })
    expect(Object.fromEntries(q)).toEqual({ q: '防汛', class: 'meeting', state: 'failed' })
  })
  it('includes the whole last day, also the last of a month and of a year', () => {
    const q = queryOf({ ...everything(), from: '2026-12-01', to: '2026-12-31' })
    expect(q.get('from')).toBe(new Date(2026, 11, 1).toISOString())
    expect(q.get('to')).toBe(new Date(2027, 0, 1).toISOString())
  })
  it('leaves out a day that is none', () => {
    expect(queryOf({ ...everything(), from: 'tomorrow' }).has('from')).toBe(false)
  })
  it('asks for the recycle bin and for an order', () => {
    const q = queryOf({ ...everything(true), order: 'oldest' })
    expect([q.get('deleted'), q.get('sort')]).toEqual(['true', 'oldest'])
  })
})

describe('the rows in the page', () => {
  it.each([
    [0, 960, 96, 100_000, 0, 10 + spare],
    [96_000, 960, 96, 100_000, 1000 - spare, 1010 + spare],
    [9_599_040, 960, 96, 100_000, 99_990 - spare, 100_000],
    [5_000, 960, 96, 3, 2, 3], // scrolled down, then the list became short
    [0, 960, 96, 0, 0, 0],
  ])('scrolled to %d', (top, height, row, total, from, to) =>
    expect(windowOf(top, height, row, total)).toEqual({ from, to }),
  )
  it('keeps every row in its element while the list is scrolled by less than its height', () => {
    const size = poolSize(960, 96, 100_000)
    const before = assigned(windowOf(10_000, 960, 96, 100_000), size)
    const after = assigned(windowOf(10_096, 960, 96, 100_000), size)
    const changed = before.filter((row, i) => row >= 0 && after[i] !== row)
    expect(changed.length).toBeLessThanOrEqual(1)
  })
  it('has an element for each row of every window', () => {
    const size = poolSize(700, 96, 100_000)
    for (let top = 0; top < 5_000; top += 37) {
      const window = windowOf(top, 700, 96, 100_000)
      const shown = assigned(window, size).filter((row) => row >= 0)
      expect(shown.length).toBe(window.to - window.from)
    }
  })
})

describe('blocks of a long list', () => {
  const rowsOf = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i)
  const settle = (): Promise<void> => new Promise((r) => setTimeout(r))

  function list(total: number, kept = 40) {
    const asked: string[] = []
    const signals: AbortSignal[] = []
    let hold: Promise<void> = Promise.resolve()
    const size = { total }
    const failed = vi.fn()
    const blocks = new Blocks<number>(
      async (at, limit, signal): Promise<Part<number>> => {
        asked.push('cursor' in at ? `after ${at.cursor}` : `from ${at.offset}`)
        signals.push(signal)
        const from = 'cursor' in at ? Number(at.cursor) : at.offset
        await hold
        const n = Math.max(0, Math.min(limit, size.total - from))
        return {
          rows: rowsOf(from, n),
          total: size.total,
          more: false,
          next: from + n < size.total ? String(from + n) : '',
        }
      },
      failed,
      String,
      10,
      kept,
    )
    return { blocks, asked, signals, failed, size, wait: (until: Promise<void>) => (hold = until) }
  }

  it('goes on by cursor, and jumps by number', async () => {
    const { blocks, asked } = list(1000)
    blocks.want(0, 8)
    await settle()
    blocks.want(8, 16)
    await settle()
    blocks.want(500, 508)
    await settle()
    expect(asked).toEqual(['from 0', 'after 10', 'from 500'])
    expect([blocks.row(0), blocks.row(12), blocks.row(507), blocks.row(300)]).toEqual([0, 12, 507, undefined])
    expect(blocks.total.value).toBe(1000)
  })
  it('gives up what is no longer in sight', async () => {
    const { blocks, signals, wait } = list(1000)
    wait(new Promise(() => undefined))
    blocks.want(0, 8)
    blocks.want(900, 908)
    expect(signals.map((s) => s.aborted)).toEqual([true, false])
    blocks.close()
    expect(signals[1]?.aborted).toBe(true)
  })
  it('holds a bounded number of blocks, and those in sight among them', async () => {
    const { blocks } = list(100_000, 3)
    for (let at = 0; at < 200; at += 10) {
      blocks.want(at, at + 8)
      await settle()
    }
    expect(blocks.loaded.size).toBe(3)
    expect(blocks.row(195)).toBe(195)
  })
  it('asks for nothing behind the end', async () => {
    const { blocks, asked } = list(12)
    blocks.want(0, 30)
    await settle()
    await settle()
    expect(asked.filter((a) => a !== 'from 0')).toHaveLength(1)
    blocks.want(20, 30)
    await settle()
    expect(asked).toHaveLength(2)
  })
  it('drops what has moved when the list became longer', async () => {
    const { blocks, size } = list(1000)
    for (const at of [0, 100, 200]) {
      blocks.want(at, at + 8)
      await settle()
    }
    size.total = 1001
    blocks.refresh()
    expect(blocks.row(205)).toBe(205) // what is in sight stays until the answer
    await settle()
    expect([...blocks.loaded.keys()]).toEqual([20])
    expect(blocks.total.value).toBe(1001)
  })
  it('moves no row while somebody may be about to click, and says that there are others', async () => {
    let rows = [
      { id: 'b', state: 'recording' },
      { id: 'a', state: 'complete' },
    ]
    const blocks = new Blocks<{ id: string; state: string }>(
      async () => ({ rows, total: rows.length, more: false, next: '' }),
      vi.fn(),
      (row) => row.id,
    )
    blocks.want(0, 2)
    await settle()
    rows = [
      { id: 'c', state: 'recording' },
      { id: 'b', state: 'complete' },
      { id: 'a', state: 'complete' },
    ]
    blocks.update()
    await settle()
    expect([blocks.row(0), blocks.row(1)?.id, blocks.total.value]).toEqual([
      { id: 'b', state: 'complete' },
      'a',
      2,
    ])
    expect(blocks.changed.value).toBe(true)
    blocks.refresh()
    await settle()
    expect([blocks.row(0)?.id, blocks.total.value, blocks.changed.value]).toEqual(['c', 3, false])
  })
  it('says what went wrong, and tries again when it is told to', async () => {
    const failed = vi.fn()
    let broken = true
    const blocks = new Blocks<number>(
      async () => {
        if (broken) throw new Error('away')
        return { rows: [1], total: 1, more: false, next: '' }
      },
      failed,
      String,
    )
    blocks.want(0, 1)
    await settle()
    expect(failed).toHaveBeenCalledOnce()
    broken = false
    blocks.refresh()
    await settle()
    expect(blocks.row(0)).toBe(1)
  })
})

describe('a recording as the server sends it', () => {
  it('is read without the fields that an older server lacks', () => {
    const row = libraryRow({ id: 'a', stream: 'channels/x', state: 'complete', duration: 60 }, 'zh-CN')
    expect(row.expires).toBeUndefined()
    expect(row.has).toEqual({ thumbnail: false, sprite: false, low: false })
    expect([row.class, row.hold, row.deleted, row.position]).toEqual(['', false, null, 0])
  })
  it('tells kept for ever from not known', () => {
    expect(libraryRow({ expires: null }, 'en').expires).toBeNull()
    expect(libraryRow({ expires: '2027-01-01T00:00:00Z' }, 'en').expires?.getUTCFullYear()).toBe(2027)
  })
  it('has chapters and gaps in order, in seconds', () => {
    const r = recordingOf(
      {
        chapters: [{ at_ms: 9_000, title: 'b' }, { at_ms: 0, kind: 'start' }, 'nonsense'],
        gaps: [
          { from_ms: 30_000, to_ms: 35_500, reason: 'disk_full' },
          { from_ms: 1_000, to_ms: 500, reason: 'backwards' },
        ],
      },
      'en',
    )
    expect(r.chapters.map((c) => c.at)).toEqual([0, 9])
    expect(r.gaps).toEqual([{ from: 30, to: 35.5, reason: 'disk_full' }])
  })
  it('joins gaps of one reason that touch, and cuts those that lie over one another', () => {
    const gap = (from_ms: number, to_ms: number, reason: string) => ({ from_ms, to_ms, reason })
    expect(gapsOf([gap(0, 1000, 'a'), gap(1000, 2000, 'a'), gap(1500, 3000, 'b')])).toEqual([
      { from: 0, to: 2, reason: 'a' },
      { from: 2, to: 3, reason: 'b' },
    ])
  })
})

describe('the sheet of pictures', () => {
  const row = { width: 160, height: 90, columns: 10, rows: 3, interval_ms: 5000, count: 25 }
  const sheet = sheetOf('/sprite', row, { width: 1600, height: 270 })
  if (!sheet) throw new Error('the sheet is one')
  it.each([
    [0, 0, 0],
    [4.9, 0, 0],
    [5, 1, 0],
    [52, 0, 1],
    [124, 4, 2],
    [9_999, 4, 2], // behind the last picture
    [-1, 0, 0],
  ])('at %d s', (at, column, line) => expect(cellOf(sheet, at)).toEqual({ column, row: line }))
  it('is scaled to the box it is shown in', () => {
    expect(cellStyle(sheet, 52, 80)).toMatchObject({
      height: '45px',
      backgroundSize: '800px 135px',
      backgroundPosition: '0px -45px',
    })
  })
  it('is none when its description is nonsense', () => {
    expect(sheetOf('x', { ...row, columns: 0 }, { width: 1600, height: 270 })).toBeNull()
    expect(sheetOf('x', { ...row, interval_ms: 0 }, { width: 1600, height: 270 })).toBeNull()
    expect(sheetOf('x', row, { width: 0, height: 0 })).toBeNull()
  })
})
