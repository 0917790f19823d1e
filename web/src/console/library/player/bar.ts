// Places and times of the seek bar.
import type { Chapter } from '../recording'

/** The time under a place of the bar, in its bounds. */
export function timeAt(x: number, width: number, duration: number): number {
  if (width <= 0 || duration <= 0) return 0
  return Math.max(0, Math.min(1, x / width)) * duration
}

/** How near to a chapter's mark one must point to mean it, in pixels. */
const reach = 5

/** The time that is meant by a place of the bar: the beginning of a chapter, near its mark. */
export function meantAt(x: number, width: number, duration: number, chapters: readonly Chapter[]): number {
  const at = timeAt(x, width, duration)
  if (width <= 0) return at
  const near = (reach / width) * duration
  let found: Chapter | null = null
  for (const chapter of chapters)
    if (
      Math.abs(chapter.at - at) <= near &&
      Math.abs(chapter.at - at) < Math.abs((found?.at ?? Infinity) - at)
    )
      found = chapter
  return found?.at ?? at
}

/** A time as a part of the bar, in percent. */
export function percent(at: number, duration: number): number {
  return duration <= 0 ? 0 : Math.max(0, Math.min(100, (at / duration) * 100))
}

/** The chapter that a time is in: the last one that has begun. */
export function chapterAt(chapters: readonly Chapter[], at: number): number {
  let found = -1
  for (const [i, chapter] of chapters.entries()) {
    if (chapter.at > at + 0.25) break // a jump to a chapter lands at the picture before it
    found = i
  }
  return found
}

/** Where a label of a width stands over a place, so that it stays over the bar. */
export function labelLeft(x: number, label: number, width: number): number {
  return Math.max(0, Math.min(x - label / 2, Math.max(0, width - label)))
}

/** A time to the tenth of a second: 1:02:03.4. For the points of a cut. */
export function exact(seconds: number): string {
  const tenths = Math.max(0, Math.round(seconds * 10))
  const s = Math.floor(tenths / 10)
  const pad = (n: number): string => String(n).padStart(2, '0')
  const hours = Math.floor(s / 3600)
  const minutes = Math.floor(s / 60) % 60
  return `${hours > 0 ? `${hours}:${pad(minutes)}` : minutes}:${pad(s % 60)}.${tenths % 10}`
}

/** A time as people write it: 90, 1:30, 1:02:03.5. Null when it is none. */
export function readTime(words: string): number | null {
  const parts = words.trim().replaceAll('：', ':').split(':')
  if (parts.length > 3 || parts.some((p) => !/^\d+(\.\d+)?$/.test(p))) return null
  return parts.reduce((sum, p) => sum * 60 + Number(p), 0)
}
