// The rows of the day: the meetings on one, each channel on one. Pure.
import type { GuideEvent } from '../guide/events'
import { type Timeline, xOf } from '../guide/timeline'
import type { ChannelRow, MeetingRow, RecordingRow } from '../rows'
import { lanes, overlap, type Placement, type Span, stack } from './day'
import { type Occurrence, streamKey } from './plan'

/** A meeting of the day as a block. */
export interface MeetingBlock extends Span {
  readonly meeting: MeetingRow
  /** It goes on with no end that is known. */
  readonly open: boolean
}

/** How long a meeting without an end is drawn. */
const guessed = 3_600_000

/** The meetings of a day, and those that are on without a time of their own. */
export function meetingsOf(
  meetings: readonly MeetingRow[],
  line: Span,
  now: number,
): { timed: MeetingBlock[]; untimed: MeetingRow[] } {
  const timed: MeetingBlock[] = []
  const untimed: MeetingRow[] = []
  for (const meeting of meetings) {
    if (meeting.start === null) {
      if (meeting.live > 0 && meeting.closed === null) untimed.push(meeting)
      continue
    }
    const start = meeting.start.getTime()
    let end = meeting.closed?.getTime() ?? meeting.end?.getTime() ?? start + guessed
    const open = meeting.closed === null && meeting.live > 0 && end < now
    if (open) end = now
    // One that was ended before it was to begin was called off.
    if (end > start && overlap({ start, end }, line)) timed.push({ meeting, start, end, open })
  }
  return { timed, untimed }
}

/** What somebody records by hand, as it stands in the day: from its begin until now, with no end that is known. */
export function byHand(running: readonly RecordingRow[], now: number): Occurrence[] {
  return running.flatMap((r) => {
    if (r.scheduled || r.started === null) return []
    const span = { start: r.started.getTime(), end: Math.max(now, r.started.getTime() + 60_000) }
    return [
      {
        ...span,
        key: `recording ${r.id}`,
        schedule: '',
        stream: r.stream,
        title: r.title,
        event: '',
        priority: 'training' as const,
        asked: span,
        state: 'recording' as const,
        reason: r.reason,
        lostTo: '',
        recording: r.id,
      },
    ]
  })
}

export interface Row {
  /** channels/ID, or `meetings` for all of them. */
  readonly key: string
  readonly channel: ChannelRow | null
  readonly place: Placement
  readonly events: readonly GuideEvent[]
  readonly meetings: readonly { item: MeetingBlock; lane: number }[]
  readonly bars: readonly { item: Occurrence; lane: number }[]
}

/** All rows with their places. What is recorded of a channel that is gone has a row of its own. */
export function rowsOf(
  channels: readonly ChannelRow[],
  events: ReadonlyMap<string, readonly GuideEvent[]>,
  meetings: readonly MeetingBlock[],
  plan: readonly Occurrence[],
): { rows: Row[]; height: number } {
  const byRow = new Map<string, Occurrence[]>()
  for (const x of plan) {
    const key = x.stream.startsWith('meetings/') ? 'meetings' : streamKey(x.stream)
    const list = byRow.get(key)
    if (list) list.push(x)
    else byRow.set(key, [x])
  }
  const keys = channels.map((c) => `channels/${c.id}`)
  const gone = [...byRow.keys()].filter((key) => key !== 'meetings' && !keys.includes(key)).sort()
  const held = lanes(meetings)
  const bars = ['meetings', ...keys, ...gone].map((key) => ({ key, ...lanes(byRow.get(key) ?? []) }))
  const { rows: places, height } = stack(
    // A channel has at least a lane of recordings: it is where one clicks to add one.
    bars.map((b) =>
      b.key === 'meetings'
        ? { upper: held.count, lower: b.count }
        : { upper: 1, lower: Math.max(1, b.count) },
    ),
  )
  const rows = bars.map((b, i): Row => {
    const channel = channels[i - 1] ?? null
    return {
      key: b.key,
      channel: b.key === 'meetings' ? null : channel,
      place: places[i]!,
      events: channel === null || b.key === 'meetings' ? [] : (events.get(channel.id) ?? []),
      meetings: b.key === 'meetings' ? held.laid : [],
      bars: b.laid,
    }
  })
  return { rows, height }
}

/** Left and width of a time on the day's line, cut at its ends. */
export function across(span: Span, line: Timeline): { left: number; width: number } {
  const left = xOf(line, Math.max(span.start, line.from))
  return { left, width: Math.max(4, xOf(line, Math.min(span.end, line.to)) - left) }
}
