// What the library's pages need of a recording: one reading of each field. Times on a recording's own line are
// seconds, as a video element counts them.
import { count, date, type Json, object, objects, oneOf, sentence, text, texts } from '../fields'
import { recordingRow, type RecordingRow, type RecordingState } from '../rows'

export const classes = ['meeting', 'news', 'training', 'agriculture'] as const
export type Class = (typeof classes)[number] | ''

/** How long a recording may be kept by the page's choice; the server knows others. */
export const retentions = ['class', '30d', '1y', '10y', 'forever'] as const

/** A part of which nothing was recorded. */
export interface Gap {
  readonly from: number
  readonly to: number
  /** A stable code. */
  readonly reason: string
}

export interface Chapter {
  readonly at: number
  readonly kind: string
  readonly title: string
  readonly who: string
}

export interface Track {
  readonly kind: string
  readonly codec: string
  readonly stream: string
  readonly width: number
  readonly height: number
}

/** What was made of a recording beside it. */
export interface Made {
  readonly thumbnail: boolean
  readonly sprite: boolean
  readonly low: boolean
}

export interface LibraryRow extends RecordingRow {
  readonly class: Class
  /** Null: for ever; undefined: the server does not say. */
  readonly expires: Date | null | undefined
  /** As the server has it; `class`: as its class says. */
  readonly retention: string
  readonly hold: boolean
  /** In the recycle bin since. */
  readonly deleted: Date | null
  /** When it is gone for good; null: not by itself. */
  readonly purges: Date | null
  readonly people: readonly string[]
  readonly units: readonly string[]
  readonly has: Made
  readonly watched: boolean
  /** Where its reader stopped, in seconds. */
  readonly position: number
}

export interface Recording extends LibraryRow {
  readonly gaps: readonly Gap[]
  readonly chapters: readonly Chapter[]
  readonly tracks: readonly Track[]
}

export const tones: Record<RecordingState, 'ok' | 'busy' | 'warn' | 'danger' | 'quiet'> = {
  recording: 'busy',
  waiting: 'warn',
  missed: 'danger',
  complete: 'ok',
  interrupted: 'warn',
  failed: 'danger',
  unknown: 'quiet',
}

/** Whether the recorder is at work on it. */
export const running = (row: RecordingRow): boolean => row.state === 'recording' || row.state === 'waiting'

/** Gaps in order, without those that are none, and joined where they touch. */
export function gapsOf(value: unknown): Gap[] {
  const read = objects(value)
    .map((g) => ({
      from: count(g['from_ms']) / 1000,
      to: count(g['to_ms']) / 1000,
      reason: text(g['reason']),
    }))
    .filter((g) => g.to > g.from)
    .sort((a, b) => a.from - b.from)
  const out: Gap[] = []
  for (const gap of read) {
    const last = out.at(-1)
    if (last && gap.from <= last.to && gap.reason === last.reason) {
      out[out.length - 1] = { ...last, to: Math.max(last.to, gap.to) }
    } else if (last && gap.from < last.to) {
      if (gap.to > last.to) out.push({ ...gap, from: last.to })
    } else out.push(gap)
  }
  return out
}

export function chaptersOf(value: unknown): Chapter[] {
  return objects(value)
    .map((c) => ({
      at: count(c['at_ms']) / 1000,
      kind: text(c['kind']),
      title: text(c['title']),
      who: text(c['who']),
    }))
    .sort((a, b) => a.at - b.at)
}

/** A running recording grows by the clock until the server says more. */
export function lengthOf(row: RecordingRow, now: number): number {
  if (row.state !== 'recording' || row.started === null) return row.bytes > 0 ? row.duration : 0
  return Math.max(row.duration, (now - row.started.getTime()) / 1000)
}

export function libraryRow(row: Json, language: string): LibraryRow {
  const has = object(row['has'])
  return {
    ...recordingRow(row, language),
    class: oneOf<Class>(row['class'], classes, ''),
    expires: row['expires'] === undefined ? undefined : date(row['expires']),
    retention: text(row['retention']) || 'class',
    hold: row['hold'] === true,
    deleted: date(row['deleted']),
    purges: date(row['purges']),
    people: texts(row['people']),
    units: texts(row['units']),
    has: { thumbnail: has['thumbnail'] === true, sprite: has['sprite'] === true, low: has['low'] === true },
    watched: row['watched'] === true,
    position: count(row['position_ms']) / 1000,
  }
}

export function recordingOf(row: Json, language: string): Recording {
  return {
    ...libraryRow(row, language),
    gaps: gapsOf(row['gaps']),
    chapters: chaptersOf(row['chapters']),
    tracks: objects(row['tracks']).map((track) => ({
      kind: text(track['kind']),
      codec: text(track['codec']),
      stream: text(track['stream']),
      width: count(track['width']),
      height: count(track['height']),
    })),
  }
}

/** A job of the server, as far as its asker follows it. */
export interface Job {
  readonly id: string
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled'
  /** 0 to 1. */
  readonly progress: number
  /** Seconds; 0: not known. */
  readonly eta: number
  /** It waits for the quiet hours. */
  readonly offPeak: boolean
  readonly cause: string
  /** The recording that it made, and what of the whole it is, in seconds. */
  readonly made: { readonly recording: string; readonly from: number; readonly to: number } | null
}

export function jobOf(row: Json, language: string): Job {
  const result = object(row['result'])
  const recording = text(result['recording'])
  return {
    id: text(row['id']),
    state: oneOf(row['state'], ['queued', 'running', 'done', 'failed', 'cancelled'], 'queued'),
    progress: Math.min(1, count(row['progress'])),
    eta: count(row['eta_s']),
    offPeak: row['off_peak'] === true,
    cause: sentence(row['cause'], language),
    made:
      recording === ''
        ? null
        : { recording, from: count(result['from_ms']) / 1000, to: count(result['to_ms']) / 1000 },
  }
}
