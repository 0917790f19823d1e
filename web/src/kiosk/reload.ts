/**
 * The next nightly reload: a random minute between 03:00 and 04:00 local time, tonight if
 * that minute is still to come. A fresh page once a day is what keeps a browser that runs
 * for months from growing.
 *
 * @param random a number in [0, 1)
 */
export function nextReload(now: Date, random: number): Date {
  const at = new Date(now)
  at.setHours(3, Math.floor(random * 60), 0, 0)
  if (at <= now) at.setDate(at.getDate() + 1)
  return at
}

/**
 * Whether to reload now. Never while the server is away: the browser would replace the
 * last picture by its own error page, which nothing on the page can repair.
 */
export function reloadDue(plan: Date | null, now: Date, online: boolean): boolean {
  return plan !== null && online && now >= plan
}
