// The points of a cut. Nothing is encoded anew, so a cut begins and ends at key frames.

export interface Cut {
  readonly from: number
  readonly to: number
}

/** The shortest that is worth a file. */
export const shortest = 1

/** The points at which pictures can begin, from the beginnings of segments: sorted, and from 0. */
export function keyTimes(starts: readonly number[]): number[] {
  return [...new Set([0, ...starts].filter((s) => Number.isFinite(s) && s >= 0))].sort((a, b) => a - b)
}

/** The beginnings of the segments of a playlist (RFC 8216) that are not missing. */
export function segmentStarts(playlist: string): number[] {
  const starts: number[] = []
  let [at, length, gap] = [0, 0, false]
  for (const line of playlist.split('\n')) {
    if (line.startsWith('#EXTINF:')) length = Number.parseFloat(line.slice('#EXTINF:'.length)) || 0
    else if (line.startsWith('#EXT-X-GAP')) gap = true
    else if (line.trim() !== '' && !line.startsWith('#')) {
      if (!gap) starts.push(at)
      at += length
      ;[length, gap] = [0, false]
    }
  }
  return starts
}

/** The key frame at a point or before it. */
export function atOrBefore(keys: readonly number[], at: number): number {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((keys[middle] ?? 0) <= at + 0.001) low = middle + 1
    else high = middle
  }
  return keys[low - 1] ?? 0
}

/** The key frame at a point or behind it; the end of all when there is none. */
export function atOrAfter(keys: readonly number[], at: number, duration: number): number {
  const before = atOrBefore(keys, at)
  if (before >= at - 0.001) return before
  return keys.find((k) => k > at) ?? duration
}

/** What a cut comes to when all that was asked for is to be in it. */
export function widened(cut: Cut, keys: readonly number[], duration: number): Cut {
  return {
    from: keys.length === 0 ? cut.from : atOrBefore(keys, cut.from),
    to: keys.length === 0 ? cut.to : Math.min(duration, atOrAfter(keys, cut.to, duration)),
  }
}

/** A cut with one point moved: it pushes the other one where they would cross. */
export function moved(cut: Cut, end: 'in' | 'out', at: number, duration: number): Cut {
  const point = Math.max(0, Math.min(duration, at))
  if (end === 'in') {
    const from = Math.min(point, Math.max(0, duration - shortest))
    return { from, to: Math.max(cut.to, Math.min(duration, from + shortest)) }
  }
  const to = Math.max(point, Math.min(duration, shortest))
  return { from: Math.min(cut.from, Math.max(0, to - shortest)), to }
}
