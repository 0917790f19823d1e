/** Which tiles there are, where they lie, and what the server should send for them. Pure. */
import type { Label, VideoSlot, ViewSlot } from '../signal/protocol'
import type { Room } from './state'

export interface Tile {
  /** Stable while the same person is shown with the same source, so that the picture is not re-attached. */
  key: string
  participant: string
  label: Label
  /** One's own picture, shown from the device and not from a slot. */
  local: boolean
  /** The m-line that carries the picture, or ''. */
  mid: string
  slot: number
  /** The picture has arrived. */
  live: boolean
}

export interface Rect {
  x: number
  y: number
  width: number
  height: number
}

/** All tiles, the most important first: shared screen, those in slots, oneself, then those without a picture. */
export function tiles(room: Room): Tile[] {
  const result: Tile[] = []
  const seen = new Set<string>()
  const add = (tile: Omit<Tile, 'key'>) => {
    const key = `${tile.participant}/${tile.label}`
    if (seen.has(key)) return
    seen.add(key)
    result.push({ key, ...tile })
  }
  const slotted = room.video.filter(
    (slot) => slot.participant !== '' && room.participants.some((p) => p.id === slot.participant),
  )
  const addSlot = (slot: VideoSlot) =>
    add({
      participant: slot.participant,
      label: slot.label === 'screen' ? 'screen' : 'video',
      local: slot.participant === room.you,
      mid: slot.mid,
      slot: slot.slot,
      live: slot.live,
    })
  slotted.filter((slot) => slot.label === 'screen').forEach(addSlot)
  const bare = { mid: '', slot: -1, live: false }
  if (room.participants.some((p) => p.id === room.you)) {
    add({ participant: room.you, label: 'video', local: true, ...bare })
  }
  // Joining order, not slot order: tiles must not jump about when the server moves people between slots.
  for (const { id } of room.participants) {
    slotted.filter((slot) => slot.label !== 'screen' && slot.participant === id).forEach(addSlot)
  }
  for (const { id } of room.participants) add({ participant: id, label: 'video', local: false, ...bare })
  return result
}

const ratio = 16 / 9

/** Equal tiles of 16:9, or of 4:3 in an upright window, as large as possible, centred, the last row too. */
export function grid(count: number, width: number, height: number, gap = 8): Rect[] {
  if (count <= 0 || width <= 0 || height <= 0) return []
  const shape = height > width ? 4 / 3 : ratio
  let best = { columns: 1, tile: 0 }
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns)
    const byWidth = (width - gap * (columns - 1)) / columns
    const byHeight = ((height - gap * (rows - 1)) / rows) * shape
    const tile = Math.min(byWidth, byHeight)
    if (tile > best.tile) best = { columns, tile }
  }
  const tileWidth = Math.floor(best.tile)
  const tileHeight = Math.floor(best.tile / shape)
  const rows = Math.ceil(count / best.columns)
  const top = Math.floor((height - rows * tileHeight - (rows - 1) * gap) / 2)
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / best.columns)
    const inRow = row === rows - 1 ? count - row * best.columns : best.columns
    const left = Math.floor((width - inRow * tileWidth - (inRow - 1) * gap) / 2)
    return {
      x: left + (index - row * best.columns) * (tileWidth + gap),
      y: top + row * (tileHeight + gap),
      width: tileWidth,
      height: tileHeight,
    }
  })
}

export interface Arrangement {
  /** By tile key; tiles without a place are not shown. */
  places: Map<string, Rect>
  /** How many tiles found no place. */
  hidden: number
}

/** Smallest useful tile, in CSS pixels: a name in large type must still fit. */
const smallest = { width: 150, height: 84 }

/** Places the tiles; `stage` is the key of the one that is shown large, or ''. */
export function arrange(
  all: readonly Tile[],
  stage: string,
  width: number,
  height: number,
  gap = 8,
): Arrangement {
  const places = new Map<string, Rect>()
  if (width <= 0 || height <= 0) return { places, hidden: all.length }
  const staged = all.find((tile) => tile.key === stage)
  if (!staged) {
    const columns = Math.max(1, Math.floor((width + gap) / (smallest.width + gap)))
    const rows = Math.max(1, Math.floor((height + gap) / (smallest.height + gap)))
    const shown = all.slice(0, columns * rows)
    grid(shown.length, width, height, gap).forEach((rect, index) => {
      const tile = shown[index]
      if (tile) places.set(tile.key, rect)
    })
    return { places, hidden: all.length - shown.length }
  }
  const others = all.filter((tile) => tile.key !== stage)
  if (others.length === 0) {
    places.set(stage, { x: 0, y: 0, width, height })
    return { places, hidden: 0 }
  }
  const wide = width > height * 1.2
  if (wide) {
    const stripWidth = Math.max(smallest.width, Math.min(280, Math.floor(width * 0.2)))
    const tileHeight = Math.floor(stripWidth / ratio)
    const fits = Math.max(1, Math.floor((height + gap) / (tileHeight + gap)))
    places.set(stage, { x: 0, y: 0, width: width - stripWidth - gap, height })
    others.slice(0, fits).forEach((tile, index) =>
      places.set(tile.key, {
        x: width - stripWidth,
        y: index * (tileHeight + gap),
        width: stripWidth,
        height: tileHeight,
      }),
    )
    return { places, hidden: Math.max(0, others.length - fits) }
  }
  const tileWidth = Math.max(smallest.width, Math.floor((width - gap) / 2))
  const tileHeight = Math.floor(tileWidth / ratio)
  const columns = Math.max(1, Math.floor((width + gap) / (tileWidth + gap)))
  const stageHeight = Math.min(Math.floor(width / ratio), Math.floor(height * 0.6))
  const rows = Math.max(0, Math.floor((height - stageHeight) / (tileHeight + gap)))
  places.set(stage, { x: 0, y: 0, width, height: rows === 0 ? height : stageHeight })
  const shown = others.slice(0, columns * rows)
  shown.forEach((tile, index) =>
    places.set(tile.key, {
      x: (index % columns) * (tileWidth + gap),
      y: stageHeight + gap + Math.floor(index / columns) * (tileHeight + gap),
      width: tileWidth,
      height: tileHeight,
    }),
  )
  return { places, hidden: others.length - shown.length }
}

/** What is shown large: what the user chose, else the shared screen of another, else nothing (a grid). */
export function stageOf(all: readonly Tile[], pinned: string): string {
  if (all.some((tile) => tile.key === pinned)) return pinned
  return all.find((tile) => tile.label === 'screen' && !tile.local)?.key ?? ''
}

/** Heights are asked for in these steps, so that dragging a window does not flood the server. */
const steps = [90, 180, 270, 360, 540, 720, 1080]

/** The step that serves a tile of `height` device pixels. */
export function stepFor(height: number): number {
  if (height <= 0) return 0
  // A picture a little smaller than its tile is not noticed; one of twice the size costs four times as much.
  return steps.find((step) => step * 1.15 >= height) ?? 1080
}

/**
 * The `view` message for an arrangement. An empty slot asks for what a new tile would need; a slot whose tile is not
 * visible asks for nothing.
 */
export function viewOf(
  slots: number,
  all: readonly Tile[],
  arrangement: Arrangement,
  pinned: string,
  pixelRatio: number,
  visible: boolean,
): ViewSlot[] {
  const heights = [...arrangement.places.values()].map((rect) => rect.height)
  const usual = heights.length > 0 ? Math.min(...heights) : 180
  return Array.from({ length: slots }, (_, slot) => {
    const tile = all.find((candidate) => candidate.slot === slot && candidate.mid !== '')
    if (!visible) return { slot, want: 'auto', height: 0 }
    if (!tile) return { slot, want: 'auto', height: stepFor(usual * pixelRatio) }
    const place = arrangement.places.get(tile.key)
    const height = place ? stepFor(place.height * pixelRatio) : 0
    if (tile.key === pinned && !tile.local) return { slot, want: tile.participant, label: tile.label, height }
    return { slot, want: 'auto', height }
  })
}
