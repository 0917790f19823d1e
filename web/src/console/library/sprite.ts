// The pictures of a recording in one file: a grid, one picture every so many seconds.
import { count, type Json } from '../fields'

export interface Sheet {
  readonly url: string
  readonly columns: number
  readonly rows: number
  /** Seconds between two pictures. */
  readonly interval: number
  readonly count: number
  /** Pixels of one picture. */
  readonly width: number
  readonly height: number
}

/** Null when the description is nonsense. `whole` is the size of the file's picture. */
export function sheetOf(url: string, row: Json, whole: { width: number; height: number }): Sheet | null {
  const [columns, rows] = [Math.floor(count(row['columns'])), Math.floor(count(row['rows']))]
  const interval = count(row['interval_ms']) / 1000
  if (columns < 1 || rows < 1 || interval <= 0 || whole.width < columns || whole.height < rows) return null
  const pictures = Math.floor(count(row['count'])) || columns * rows
  return {
    url,
    columns,
    rows,
    interval,
    count: Math.min(pictures, columns * rows),
    width: whole.width / columns,
    height: whole.height / rows,
  }
}

/** Where the picture of a time is in the grid. */
export function cellOf(sheet: Sheet, seconds: number): { column: number; row: number } {
  const index = Math.max(0, Math.min(sheet.count - 1, Math.floor(seconds / sheet.interval)))
  return { column: index % sheet.columns, row: Math.floor(index / sheet.columns) }
}

/** The style that shows the picture of a time in a box of a width. */
export function cellStyle(sheet: Sheet, seconds: number, width: number): Record<string, string> {
  const { column, row } = cellOf(sheet, seconds)
  const height = (sheet.height / sheet.width) * width
  return {
    width: `${width}px`,
    height: `${height}px`,
    backgroundImage: `url("${sheet.url}")`,
    backgroundSize: `${width * sheet.columns}px ${height * sheet.rows}px`,
    backgroundPosition: `${-column * width}px ${-row * height}px`,
  }
}
