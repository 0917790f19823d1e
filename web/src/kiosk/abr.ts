// Which level to play on a line that nobody knows, as a pure rule.
//
// Players estimate a line by how fast segments come. In low latency parts come as fast as they are made, whatever the
// line carries: hls.js 1.7 then believes anything from a tenth to ten times the truth, and goes to and fro. What the
// viewer sees is surer: a buffer that runs dry is a line that carries less. So the level goes down when it does, and up
// again on trial after a while; a trial that fails makes the next one wait twice as long.

/** Milliseconds. */
export const pace = {
  /** The buffer has run dry for this long: the level is too high. */
  dry: 700,
  /** After a change the new level is given this long to fill the buffer. */
  grace: 4_000,
  /** A higher level that holds this long is no longer a trial. */
  trial: 20_000,
  /** The first wait for a trial, and the longest. */
  wait: 30_000,
  longest: 900_000,
} as const

/** A buffer below this is dry, in seconds: a part. */
export const dryBuffer = 0.3

export interface Abr {
  /** The level to play, counted from the lowest. */
  readonly level: number
  /** When it was chosen. */
  readonly since: number
  /** When the buffer ran dry, null while it is not. */
  readonly drySince: number | null
  /** Whether the level is on trial. */
  readonly trial: boolean
  /** How long to wait for the next trial. */
  readonly wait: number
}

/** The state of a new player that begins at a level. */
export function beginAbr(level: number, now: number): Abr {
  return { level, since: now, drySince: null, trial: false, wait: pace.wait }
}

/**
 * The state after a look at the player.
 *
 * @param buffer seconds of media ahead
 * @param top the highest level allowed
 */
export function judge(abr: Abr, buffer: number, top: number, now: number): Abr {
  const drySince = buffer < dryBuffer ? (abr.drySince ?? now) : null
  const next: Abr = { ...abr, drySince }
  const age = now - abr.since
  if (drySince !== null) {
    // On trial there is no grace: that the higher level drains the buffer is the answer.
    const patient = !abr.trial && age < pace.grace
    if (abr.level === 0 || patient || now - drySince < pace.dry) return next
    const wait = abr.trial ? Math.min(abr.wait * 2, pace.longest) : abr.wait
    return { level: abr.level - 1, since: now, drySince: null, trial: false, wait }
  }
  if (abr.trial) return age >= pace.trial ? { ...next, trial: false, wait: pace.wait, since: now } : next
  if (abr.level < top && age >= abr.wait) return { ...next, level: abr.level + 1, since: now, trial: true }
  return next
}

/** The highest level whose bitrate is within a rate; the lowest when none is. Bitrates rise. */
export function levelFor(bitrates: readonly number[], rate: number): number {
  let level = 0
  bitrates.forEach((b, i) => {
    if (b <= rate) level = i
  })
  return level
}
