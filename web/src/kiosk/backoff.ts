const longest = 30_000

/**
 * How long to wait before the next try, in milliseconds: 1, 2, 4 … 30 s, each spread over
 * three quarters to five quarters of itself so that 610 kiosks do not come back in one
 * second after a power cut.
 *
 * @param attempt tries that went wrong since the last steady picture, from 0
 * @param random a number in [0, 1)
 */
export function retryDelay(attempt: number, random: number): number {
  const base = Math.min(longest, 1000 * 2 ** Math.min(attempt, 5))
  return Math.round(base * (0.75 + 0.5 * random))
}
