import { describe, expect, it } from 'vitest'
import type { Participant, VideoSlot } from '../signal/protocol'
import { arrange, grid, stageOf, stepFor, tiles, viewOf, type Rect } from './layout'
import type { Room } from './state'

const person = (id: string): Participant => ({
  id,
  name: id,
  role: 'member',
  connected: true,
  encoder: false,
  publishing: true,
  muted: false,
  muted_by_chair: false,
  camera: true,
  screen: false,
  hand: false,
  joined_at: '',
})

function room(ids: string[], slots: [participant: string, label?: 'video' | 'screen'][] = []): Room {
  return {
    you: 'me',
    seq: 1,
    meeting: { id: '42', title: '' },
    media: { whip: '', whep: '', token: '', expires: '', video_slots: 9, audio_slots: 3 },
    participants: ids.map(person),
    hands: [],
    screen: '',
    mute_all: false,
    self_unmute: true,
    chat: [],
    video: slots.map(([participant, label = 'video'], slot): VideoSlot => ({
      slot,
      mid: `${slot}`,
      participant,
      label: participant ? label : '',
      live: participant !== '',
      layer: 0,
    })),
    audio: [],
    speaker: '',
    layers: null,
  }
}

function inside(rects: Iterable<Rect>, width: number, height: number): void {
  const all = [...rects]
  for (const r of all) {
    expect(r.x).toBeGreaterThanOrEqual(0)
    expect(r.y).toBeGreaterThanOrEqual(0)
    expect(r.x + r.width).toBeLessThanOrEqual(width)
    expect(r.y + r.height).toBeLessThanOrEqual(height)
  }
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      const apart =
        a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
      expect(apart, `${JSON.stringify(a)} overlaps ${JSON.stringify(b)}`).toBe(true)
    }
  }
}

describe('tiles', () => {
  it('shows the screen first, then oneself, then the others in joining order', () => {
    const keys = tiles(
      room(['wang', 'me', 'zhao', 'sun'], [['zhao'], ['wang', 'screen'], ['wang'], ['']]),
    ).map((t) => t.key)
    expect(keys).toEqual(['wang/screen', 'me/video', 'wang/video', 'zhao/video', 'sun/video'])
  })

  it('gives who is in no slot a tile without a picture', () => {
    const sun = tiles(room(['me', 'sun'])).find((t) => t.participant === 'sun')
    expect(sun).toMatchObject({ mid: '', live: false, slot: -1 })
  })

  it('ignores a slot of somebody who has left', () => {
    expect(tiles(room(['me'], [['gone']])).map((t) => t.key)).toEqual(['me/video'])
  })
})

describe('grid', () => {
  for (const [width, height] of [
    [1366, 640],
    [390, 700],
    [360, 500],
    [1920, 1000],
  ] as const) {
    it(`fits 1 to 49 tiles into ${width}x${height} without overlap`, () => {
      for (let n = 1; n <= 49; n++) {
        const rects = grid(n, width, height)
        expect(rects.length).toBe(n)
        inside(rects, width, height)
      }
    })
  }

  it('uses the shape of the screen', () => {
    const columns = (rects: Rect[]) => new Set(rects.map((r) => r.x)).size
    expect(columns(grid(2, 1366, 640))).toBe(2)
    expect(columns(grid(2, 390, 700))).toBe(1)
    expect(columns(grid(4, 1366, 640))).toBe(2)
  })
})

describe('arrange', () => {
  it('gives the stage most of the room and keeps the others visible', () => {
    const all = tiles(room(['wang', 'me', 'zhao'], [['wang', 'screen'], ['wang'], ['zhao']]))
    for (const [width, height] of [
      [1366, 640],
      [390, 700],
    ] as const) {
      const { places, hidden } = arrange(all, stageOf(all, ''), width, height)
      inside(places.values(), width, height)
      const stage = places.get('wang/screen')
      expect((stage?.width ?? 0) * (stage?.height ?? 0)).toBeGreaterThan(0.3 * width * height)
      expect(hidden).toBe(0)
    }
  })

  it('says how many tiles found no place', () => {
    const ids = ['me', ...Array.from({ length: 101 }, (_, i) => `p${i}`)]
    const all = tiles(room(ids))
    const { places, hidden } = arrange(all, '', 390, 600)
    expect(places.size + hidden).toBe(102)
    expect(hidden).toBeGreaterThan(0)
    inside(places.values(), 390, 600)
  })

  it('shows nothing in a window without size', () => {
    expect(arrange(tiles(room(['me'])), '', 0, 0)).toEqual({ places: new Map(), hidden: 1 })
  })
})

describe('stageOf', () => {
  const all = tiles(room(['wang', 'me'], [['wang', 'screen'], ['wang']]))
  it('prefers what the user chose over the shared screen, and a grid over nothing', () => {
    expect(stageOf(all, 'wang/video')).toBe('wang/video')
    expect(stageOf(all, '')).toBe('wang/screen')
    expect(stageOf(all, 'gone/video')).toBe('wang/screen')
    expect(stageOf(tiles(room(['wang', 'me'], [['wang']])), '')).toBe('')
  })
})

describe('viewOf', () => {
  const all = tiles(room(['wang', 'me', 'zhao'], [['wang'], ['zhao'], ['']]))
  it('asks for the height of each tile in device pixels, in steps', () => {
    const view = viewOf(3, all, arrange(all, 'wang/video', 1366, 640), 'wang/video', 1, true)
    expect(view[0]).toEqual({ slot: 0, want: 'wang', label: 'video', height: 720 })
    expect(view[1]).toEqual({ slot: 1, want: 'auto', height: 180 })
    expect(view[2]?.want).toBe('auto')
    expect(view[2]?.height).toBeGreaterThan(0)
  })

  it('asks for nothing while the page is hidden', () => {
    const view = viewOf(3, all, arrange(all, '', 1366, 640), '', 1, false)
    expect(view.map((slot) => slot.height)).toEqual([0, 0, 0])
  })

  it('rounds to few steps', () => {
    expect([0, 1, 90, 157, 180, 300, 400, 540, 640, 720, 1080, 4000].map(stepFor)).toEqual([
      0, 90, 90, 180, 180, 270, 360, 540, 720, 720, 1080, 1080,
    ])
  })
})
