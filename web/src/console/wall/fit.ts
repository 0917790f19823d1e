// How many columns let all tiles be seen without scrolling, with the largest pictures. Pure.

export interface Fit {
  readonly columns: number
  readonly rows: number
  /** Width of the picture in a tile, in px. */
  readonly picture: number
}

/** Below this a picture says nothing any more: the wall scrolls instead. */
export const smallest = 92

/** Null when the tiles would be too small to be of use. */
export function fit(tiles: number, width: number, height: number, gap: number, caption: number): Fit | null {
  let best: Fit | null = null
  for (let columns = 1; columns <= tiles; columns++) {
    const rows = Math.ceil(tiles / columns)
    const across = (width - gap * (columns - 1)) / columns
    const down = (height - gap * (rows - 1)) / rows - caption
    const picture = Math.floor(Math.min(across, (down * 16) / 9))
    if (picture >= smallest && (best === null || picture > best.picture)) best = { columns, rows, picture }
  }
  return best
}
