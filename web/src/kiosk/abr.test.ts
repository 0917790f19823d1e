import { describe, expect, it } from 'vitest'
import { type Abr, beginAbr, judge, levelFor, pace } from './abr'

/** A line that carries some levels, looked at four times a second; returns the changes of level. */
function run(start: number, seconds: number, carries: (level: number, at: number) => boolean, top = 2) {
  let abr: Abr = beginAbr(start, 0)
  let buffer = 1.5
  let dry = 0
  const changes: [number, number][] = []
  for (let now = 0; now < seconds * 1000; now += 250) {
    buffer = Math.min(2, Math.max(0, buffer + (carries(abr.level, now) ? 0.25 : -0.25)))
    if (buffer === 0) dry += 250
    const next = judge(abr, buffer, top, now)
    if (next.level !== abr.level) changes.push([Math.round(now / 1000), next.level])
    abr = next
  }
  return { abr, changes, dry }
}

describe('choosing the level', () => {
  it('stays where the line carries it', () => {
    expect(run(2, 3600, () => true).changes).toEqual([])
  })
  it('goes down step by step until the buffer holds', () => {
    const { changes } = run(2, 29, (level) => level === 0)
    expect(changes.map(([, level]) => level)).toEqual([1, 0])
    expect(changes.every(([at]) => at <= 10)).toBe(true)
  })
  it('tries the higher level again, each time after twice the wait', () => {
    const { changes } = run(1, 600, (level) => level <= 1)
    const up = changes.filter(([, level]) => level === 2).map(([at]) => at)
    const waits = up.map((at, i) => at - (changes[2 * i - 1]?.[0] ?? 0))
    expect(waits.slice(0, 4)).toEqual([30, 60, 120, 240])
  })
  it('stands still for little of an hour on a line that never carries more', () => {
    expect(run(1, 3600, (level) => level <= 1).dry).toBeLessThan(10_000)
  })
  it('is up again when the line has recovered', () => {
    const { abr } = run(2, 200, (level, now) => level === 0 || now > 60_000)
    expect(abr.level).toBe(2)
    expect(abr.wait).toBe(pace.wait)
  })
  it('never goes above what is allowed', () => {
    expect(run(0, 600, () => true, 1).abr.level).toBe(1)
  })
  it('begins with what was carried last time', () => {
    const rates = [350_000, 800_000, 2_400_000]
    expect([Infinity, 900_000, 800_000, 400_000, 1].map((r) => levelFor(rates, r))).toEqual([2, 1, 1, 0, 0])
  })
})
