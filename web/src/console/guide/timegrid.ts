// What a grid of rows and times is given, and what can be asked of it.
import type { Place } from './timeline'

export interface GridRow {
  readonly key: string
  readonly place: Place
  readonly name: string
  /** In front of the name: a channel's number. */
  readonly number?: number | string | undefined
  /** Where the name leads. */
  readonly href: string
}

export interface TimeGridHandle {
  /** Puts a moment at a part of the width, and a row into sight where one is given. */
  show(time: number, part?: number, row?: Place): void
  /** Scrolls no further than a moment and a row are in sight; the grid's element when they are drawn. */
  reveal(time: number, row: Place): Promise<HTMLElement | null>
  /** The time in the middle, so that zooming keeps what is looked at. */
  middle(): number
  /** The time under a pointer. */
  timeUnder(pointer: MouseEvent): number
  /** Scrolls on while something is dragged to an edge. */
  follow(pointer: MouseEvent): void
}
