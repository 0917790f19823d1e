// Which of the offered qualities a device plays: pure rules, tested by tables.

/** What the viewer chose: `auto`, or the most kilobits a second. */
export type Quality = 'auto' | '800' | '350'

const order: readonly Quality[] = ['auto', '800', '350']

/** The choice after this one, round the end. */
export function nextQuality(quality: Quality): Quality {
  return order[(order.indexOf(quality) + 1) % order.length] ?? 'auto'
}

/** Reads a choice from the address or from memory; anything else is `auto`. */
export function parseQuality(text: string | null): Quality {
  return order.find((q) => q === text) ?? 'auto'
}

/** Reads `?line=`, the device's line in Mbit/s, as bits a second; 0 when it is not said. */
export function parseLine(text: string | null): number {
  const line = Number.parseFloat(text ?? '')
  return line > 0 && line < 10_000 ? Math.round(line * 1_000_000) : 0
}

/** Of a line, so much is for television: the rest is for meetings, playlists and what gets lost. */
const share = 0.8

/**
 * The highest level that may be played, as an index; the lowest when even that is too much.
 *
 * @param bitrates of the levels, in any order, bits a second
 * @param quality what the viewer chose
 * @param line bits a second, 0 when unknown
 */
export function ceiling(bitrates: readonly number[], quality: Quality, line: number): number {
  const limit = Math.min(
    quality === 'auto' ? Infinity : Number(quality) * 1000,
    line > 0 ? line * share : Infinity,
  )
  let best = -1
  let lowest = 0
  bitrates.forEach((rate, index) => {
    if (rate <= limit && (best < 0 || rate > (bitrates[best] ?? 0))) best = index
    if (rate < (bitrates[lowest] ?? 0)) lowest = index
  })
  return best < 0 ? lowest : best
}

/** The address of the stream below `/hls/`, and the one to fall back to when that is not to be had. */
export function streamAddresses(
  stream: string,
  quality: Quality,
): { first: string; fallback: string | null } {
  const whole = `/hls/${stream}/index.m3u8`
  // A fixed low rate is asked for by itself, so that nothing else is made for this device.
  return quality === 'auto'
    ? { first: whole, fallback: null }
    : { first: `/hls/${stream}/hls-${quality}/index.m3u8`, fallback: whole }
}
