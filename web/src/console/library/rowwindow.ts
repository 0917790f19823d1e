// Which rows of a long list are in the page. A row's element is used again for another row when it has left the
// sight, so that scrolling neither makes nor removes elements.

export interface Window {
  /** The first row, and the one after the last. */
  readonly from: number
  readonly to: number
}

/** Rows kept above and below what is seen. */
export const spare = 4

/** The rows in sight of a box that is scrolled to `top`, and the spare ones. */
export function windowOf(top: number, height: number, rowHeight: number, total: number): Window {
  const from = Math.max(0, Math.min(Math.floor(top / rowHeight) - spare, total - 1))
  const to = Math.max(from, Math.min(total, Math.ceil((top + height) / rowHeight) + spare))
  return { from, to }
}

/** How many elements the pool needs so that every window has one for each of its rows. */
export function poolSize(height: number, rowHeight: number, total: number): number {
  return Math.min(total, Math.ceil(height / rowHeight) + 1 + 2 * spare)
}

/** The row that each element of the pool shows; -1: none. Row r is always in element r modulo the size. */
export function assigned(window: Window, size: number): number[] {
  const rows = new Array<number>(size).fill(-1)
  for (let row = window.from; row < window.to && row < window.from + size; row++) rows[row % size] = row
  return rows
}
