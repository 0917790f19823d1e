import type { Channel } from './channel'
import { authorization } from './device'
import type { Language } from './locales'

/** What one look at the server brought. */
export interface Guide {
  /** Null when the server did not answer, or not with a list. */
  readonly channels: readonly Channel[] | null
  readonly online: boolean
  readonly denied: boolean
  /** The server's clock minus this machine's, in milliseconds; null when unknown. */
  readonly offset: number | null
}

const patience = 8_000

/**
 * Fetches the channels and the meetings that are on. Never throws: whatever goes wrong is in the result.
 *
 * @param before the list so far: its meetings stay when only their part of the answer was lost
 */
export async function fetchGuide(
  token: string,
  language: Language,
  before: readonly Channel[],
): Promise<Guide> {
  const [channels, meetings] = await Promise.all([
    get('channels', token, language),
    get('meetings', token, language),
  ])
  const denied = channels.status === 401 || channels.status === 403
  if (channels.body === null)
    return { channels: null, online: channels.status !== 0, denied, offset: channels.offset }
  const listed = combine(channels.body, meetings.body, language)
  const lost = meetings.status === 0 || meetings.status >= 500
  const kept = lost ? before.filter((c) => c.stream.startsWith('meetings/')) : []
  return { channels: [...listed, ...kept], online: true, denied: false, offset: channels.offset }
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly offset: number | null
}

async function get(collection: string, token: string, language: Language): Promise<Answer> {
  try {
    const response = await fetch(`/api/v1/${collection}`, {
      headers: { Accept: 'application/json', 'Accept-Language': language, ...authorization(token) },
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(patience),
    })
    const date = Date.parse(response.headers.get('Date') ?? '')
    const offset = Number.isNaN(date) ? null : date - Date.now()
    return { status: response.status, body: response.ok ? await response.json() : null, offset }
  } catch {
    return { status: 0, body: null, offset: null }
  }
}

type Json = Record<string, unknown>

function rows(body: unknown, key: string): Json[] {
  const list = Array.isArray(body) ? body : ((body as Json | null)?.[key] ?? (body as Json | null)?.['items'])
  return Array.isArray(list) ? list.filter((row): row is Json => typeof row === 'object' && row !== null) : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A reason comes as a sentence, or as one per language. */
function reasonText(value: unknown, language: Language): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return ''
  const reason = value as Json
  return text(reason[language === 'en' ? 'en' : 'zh']) || text(reason['message'])
}

/**
 * One list for the remote control: channels keep their order and are numbered from 1; the programmes of
 * meetings that are on follow from 901, where no channel number is.
 */
export function combine(channels: unknown, meetings: unknown, language: Language): Channel[] {
  const listed = rows(channels, 'channels').map((row, index): Channel => {
    const id = text(row['id'])
    const state = text(row['state'])
    const number = Number(row['number'])
    return {
      number: Number.isInteger(number) && number > 0 ? number : index + 1,
      name: text(row['name']) || id,
      stream: text(row['stream']) || `channels/${id}`,
      live: state === '' || state === 'live',
      playable: row['playable'] !== 'unplayable' && row['playable'] !== false,
      reason: reasonText(row['reason'], language),
      languages: rows(row['tracks'], 'tracks')
        .filter((track) => track['kind'] === 'audio')
        .map((track) => text(track['language'])),
    }
  })
  const on = rows(meetings, 'meetings').filter((row) => Number(row['live']) > 0 || row['live'] === true)
  const programmes = on.map((row, index): Channel => {
    const id = text(row['id'])
    return {
      number: 901 + index,
      name: text(row['title']) || id,
      stream: `meetings/${id}/programme`,
      live: true,
      playable: true,
      reason: '',
      languages: [],
    }
  })
  return [...listed, ...programmes].filter((c) => c.stream !== 'channels/')
}
