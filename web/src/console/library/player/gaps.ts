// A player and the parts of a recording of which there is nothing.
import type { Gap } from '../recording'

/** The gap at a time; null: there are pictures. */
export function gapAt(gaps: readonly Gap[], at: number): Gap | null {
  return gaps.find((g) => at >= g.from && at < g.to) ?? null
}

/** How far before a gap a player may wait, and how far before it what is buffered may end: sound and pictures end apart. */
const near = 1
const apart = 0.7

/**
 * The gap that a player has come to: it is in it, or it waits at the end of what is buffered, which is where the
 * gap begins. Null: it goes on by itself.
 */
export function gapAhead(gaps: readonly Gap[], at: number, stalled: boolean, bufferedTo: number): Gap | null {
  const inside = gapAt(gaps, at)
  if (inside) return inside
  if (!stalled || bufferedTo <= 0 || bufferedTo < at - 0.05) return null
  return (
    gaps.find(
      (g) => g.from >= at && g.from - at < near && g.from - bufferedTo < apart && bufferedTo < g.to,
    ) ?? null
  )
}

/** Where playing goes on after a gap: just behind its end, and not behind the end of all. */
export function behind(gap: Gap, duration: number): number | null {
  const to = gap.to + 0.05
  return to < duration - 0.2 ? to : null
}

/** What is missing in all. */
export function missing(gaps: readonly Gap[]): number {
  return gaps.reduce((sum, g) => sum + g.to - g.from, 0)
}
