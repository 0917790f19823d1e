/**
 * Which simulcast layers a camera is sent in. Pure.
 *
 * Chromium silently leaves out the top layers of a small picture: with three rids, 640x480 is sent as 160x120 and
 * 320x240 only. So the number of layers follows from what the camera really captures.
 */
import type { Rid } from '../signal/protocol'

export interface Size {
  width?: number | undefined
  height?: number | undefined
}

export interface Encoding {
  rid?: Rid
  scaleResolutionDownBy: number
  maxBitrate: number
  maxFramerate?: number
  active: boolean
}

/** A size for which no camera is known yet: three layers, as most cameras deliver 720 lines. */
const unknownSize = { width: 1280, height: 720 }

/** Encodings for a camera that captures `size`, smallest first as the server expects them. */
export function cameraEncodings(size: Size | null): Encoding[] {
  const { width = 0, height = 0 } = size ?? unknownSize
  // A phone held upright delivers 720x1280: only the two sides count, not their names.
  const long = Math.max(width, height)
  const short = Math.min(width, height)
  if (long >= 960 && short >= 540) {
    return [
      { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000, active: true },
      { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000, active: true },
      { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000, active: true },
    ]
  }
  if (long >= 640 && short >= 360) {
    return [
      { rid: 'q', scaleResolutionDownBy: 2, maxBitrate: 200_000, active: true },
      { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 700_000, active: true },
    ]
  }
  return [{ scaleResolutionDownBy: 1, maxBitrate: 400_000, active: true }]
}

/** The one encoding of a shared screen: sharp text at a few pictures a second. */
export function screenEncodings(): Encoding[] {
  return [{ scaleResolutionDownBy: 1, maxBitrate: 2_500_000, maxFramerate: 15, active: true }]
}

/**
 * Sets `active` by the layers that somebody wants, in place; says whether anything changed. A single layer is never
 * paused: it has no rid, and muting the camera is another matter.
 */
export function applyLayers(
  encodings: { rid?: string; active?: boolean }[],
  wanted: readonly Rid[],
): boolean {
  if (encodings.length < 2) return false
  let changed = false
  for (const encoding of encodings) {
    const active = wanted.some((rid) => rid === encoding.rid)
    if ((encoding.active ?? true) !== active) {
      encoding.active = active
      changed = true
    }
  }
  return changed
}
