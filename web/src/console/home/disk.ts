// What the disk's forecast means. Pure.

const day = 24 * 3_600_000

/** Days until the disk is full; null when not by what is recorded now, or not within three years. */
export function daysLeft(fullAt: Date | null, now: Date): number | null {
  if (fullAt === null) return null
  const days = (fullAt.getTime() - now.getTime()) / day
  return days > 3 * 366 ? null : Math.max(0, days)
}

export const diskTone = (days: number | null): 'ok' | 'warn' | 'danger' =>
  days === null || days >= 14 ? 'ok' : days >= 3 ? 'warn' : 'danger'
