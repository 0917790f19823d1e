// Why a meeting's programme is as it is. Nothing throws.
import { type Json, object, text } from '../fields'

/** Why something is not as it should be, as the server says it. */
export interface Cause {
  readonly code: string
  readonly en: string
  readonly zh: string
}

export interface Programme {
  /** Whose picture is on air; empty: nobody's. */
  readonly participant: string
  /** His picture is not sent in H.264 and made so. */
  readonly transcoded: boolean
  /** Why outputs that need H.264 have no picture; null: they have. */
  readonly picture: Cause | null
  /** Why the dominant speaker is heard alone; null: all are heard who speak. */
  readonly sound: Cause | null
}

/** The codes for which the page has words of its own, with what to do: programme.why and programme.todo. */
export const codes = [
  'transcoded',
  'picture_needs_ffmpeg',
  'picture_transcode_busy',
  'picture_transcode_failed',
  'picture_unsupported',
  'sound_needs_ffmpeg',
  'sound_mixer_failed',
] as const
export type Code = (typeof codes)[number]

function causeOf(value: unknown): Cause | null {
  const row = object(value)
  const cause = { code: text(row['code']), en: text(row['en']), zh: text(row['zh']) }
  return cause.code === '' && cause.en === '' && cause.zh === '' ? null : cause
}

/** Null while nobody watches or records the meeting. */
export function programmeOf(value: unknown): Programme | null {
  if (typeof value !== 'object' || value === null) return null
  const row = object(value as Json)
  return {
    participant: text(row['participant']),
    transcoded: row['transcoded'] === true,
    picture: causeOf(row['reason']),
    sound: causeOf(row['sound_reason']),
  }
}

/** One thing to say: by its code, or in the server's own words where the page does not know the code. */
export type Note = { readonly code: Code; readonly serious: boolean } | { readonly said: string }

export function notesOf(programme: Programme, language: string): Note[] {
  const notes: Note[] = []
  for (const cause of [programme.picture, programme.sound]) {
    if (cause === null) continue
    const code = codes.find((c) => c === cause.code)
    const said = (language === 'en' ? cause.en : cause.zh) || cause.en || cause.zh || cause.code
    notes.push(code === undefined ? { said } : { code, serious: true })
  }
  if (programme.transcoded && programme.picture === null) notes.push({ code: 'transcoded', serious: false })
  return notes
}
