// Events of the programme guide as the pages need them. Pure.
import { date, type Json, object, text } from '../fields'

export interface GuideEvent {
  readonly channel: string
  readonly id: string
  readonly title: string
  readonly summary: string
  readonly text: string
  /** Milliseconds of the epoch: they are compared and drawn thousands of times. */
  readonly start: number
  readonly end: number
  readonly genre: string
  readonly language: string
}

/** Null for what has no place in a timeline. */
export function guideEvent(row: Json): GuideEvent | null {
  const start = date(row['start'])
  const end = date(row['end'])
  if (start === null || end === null || end <= start) return null
  return {
    channel: text(row['channel']),
    id: text(row['event_id']),
    title: text(row['title']),
    summary: text(row['summary']),
    text: text(row['text']),
    start: start.getTime(),
    end: end.getTime(),
    genre: text(object(row['genre'])['name'] ?? row['genre']),
    language: text(row['language']),
  }
}

export const byStart = (a: GuideEvent, b: GuideEvent): number => a.start - b.start

export function byChannel(events: readonly GuideEvent[]): Map<string, GuideEvent[]> {
  const channels = new Map<string, GuideEvent[]>()
  for (const event of events) {
    const list = channels.get(event.channel)
    if (list) list.push(event)
    else channels.set(event.channel, [event])
  }
  return channels
}
