// Where things are in a week, a month or a day of the plan. Pure; times are milliseconds of the epoch, days begin at
// midnight where the user is.
import { midnight } from '../guide/timeline'
import { addDays, lanes, overlap, type Span } from '../home/day'
import { type Occurrence, type PlanState, states } from '../home/plan'

export const views = ['week', 'month', 'day'] as const
export type View = (typeof views)[number]

/** Monday's midnight of the week of a moment. */
const monday = (at: number): number => addDays(at, -((new Date(at).getDay() + 6) % 7))

function firstOfMonth(at: number, later = 0): number {
  const date = new Date(midnight(at))
  date.setMonth(date.getMonth() + later, 1)
  return date.getTime()
}

/** What a view shows around a moment: whole days; a month is shown in whole weeks. */
export function spanOf(view: View, at: number): Span {
  switch (view) {
    case 'week':
      return { start: monday(at), end: addDays(monday(at), 7) }
    case 'month':
      return { start: monday(firstOfMonth(at)), end: addDays(monday(addDays(firstOfMonth(at, 1), -1)), 7) }
    case 'day':
      return { start: midnight(at), end: addDays(at, 1) }
  }
}

/** The same place in the view before or after. */
export function moved(view: View, at: number, by: 1 | -1): number {
  if (view === 'month') return firstOfMonth(at, by)
  return addDays(at, by * (view === 'week' ? 7 : 1))
}

/** The midnights of a span. */
export function daysOf(span: Span): number[] {
  const days: number[] = []
  for (let day = span.start; day < span.end; day = addDays(day, 1)) days.push(day)
  return days
}

export const sameMonth = (a: number, b: number): boolean => firstOfMonth(a) === firstOfMonth(b)

/** What touches a day, by its beginning; what goes over midnight is in both days. */
export function onDay(items: readonly Occurrence[], day: number): Occurrence[] {
  const span = { start: day, end: addDays(day, 1) }
  return items
    .filter((x) => overlap(x, span))
    .sort((a, b) => a.start - b.start || a.title.localeCompare(b.title))
}

/** How many there are of each state. */
export function counted(items: readonly Occurrence[]): Map<PlanState, number> {
  const counts = new Map<PlanState, number>(states.map((s) => [s, 0]))
  for (const x of items) counts.set(x.state, (counts.get(x.state) ?? 0) + 1)
  return counts
}

/** Hours on the wall since midnight: a night with another hour does not move what comes behind it. */
function hoursOf(at: number, day: number): number {
  if (at <= day) return 0
  if (at >= addDays(day, 1)) return 24
  const date = new Date(at)
  return date.getHours() + date.getMinutes() / 60
}

/** What is drawn is as high as this many hours, or it could not be read. */
const least = 0.65

export interface Placed {
  readonly item: Occurrence
  /** Hours from midnight. */
  readonly top: number
  readonly height: number
  /** Its place beside others at the same time, of so many. */
  readonly lane: number
  readonly of: number
  /** Beside it stands how many more there are. */
  readonly crowded: boolean
}

/** Those that there is no room for beside the others. */
export interface More {
  readonly top: number
  readonly height: number
  readonly count: number
}

/** The blocks of a day: those at the same time side by side, `most` at once, and the rest counted. */
export function dayColumn(
  items: readonly Occurrence[],
  day: number,
  most: number,
): { blocks: Placed[]; more: More[] } {
  const spans = onDay(items, day).map((item) => {
    const top = Math.min(hoursOf(item.start, day), 24 - least)
    return { item, start: top, end: Math.max(hoursOf(item.end, day), top + least) }
  })
  const blocks: Placed[] = []
  const more: More[] = []
  for (let from = 0; from < spans.length;) {
    // Those that touch one another, however far through others.
    let until = from + 1
    let end = spans[from]!.end
    while (until < spans.length && spans[until]!.start < end) end = Math.max(end, spans[until++]!.end)
    const { laid, count } = lanes(spans.slice(from, until))
    const left: Span[] = []
    for (const { item: span, lane } of laid) {
      if (lane >= most) left.push(span)
      else
        blocks.push({
          item: span.item,
          top: span.start,
          height: span.end - span.start,
          lane,
          of: Math.min(count, most),
          crowded: count > most,
        })
    }
    if (left.length > 0) {
      const top = Math.min(...left.map((s) => s.start))
      more.push({ top, height: Math.max(...left.map((s) => s.end)) - top, count: left.length })
    }
    from = until
  }
  return { blocks, more }
}
