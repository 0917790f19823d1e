// The calls of the library and of the player. All throw ApiError.
import { api, listOf } from '../../shared/api'
import { storedLanguage } from '../../shared/i18n'
import { count, type Json, text } from '../fields'
import type { Part } from './blocks'
import { everything, type Filter, queryOf } from './filter'
import { segmentStarts } from './player/cut'
import { type Job, jobOf, libraryRow, type LibraryRow, type Recording, recordingOf } from './recording'
import { type Sheet, sheetOf } from './sprite'

const one = (id: string): string => `/recordings/${encodeURIComponent(id)}`

export interface Change {
  title?: string
  class?: string
  retention?: string
  hold?: boolean
}

export const library = {
  list: async (
    filter: Filter,
    at: { cursor: string } | { offset: number },
    limit: number,
    signal: AbortSignal,
    language: string,
  ): Promise<Part<LibraryRow>> => {
    const query = queryOf(filter)
    query.set('limit', String(limit))
    if ('cursor' in at) query.set('cursor', at.cursor)
    else if (at.offset > 0) query.set('offset', String(at.offset))
    const answer = await api<Json>('GET', `/recordings?${query.toString()}`, undefined, signal)
    const rows = listOf<Json>(answer, 'recordings').map((row) => libraryRow(row, language))
    return { rows, total: count(answer['total']), more: answer['more'] === true, next: text(answer['next']) }
  },
  /** The newest recordings in which words are found, of which names are suggested; no words: the newest. */
  named: async (words: string, bin: boolean): Promise<LibraryRow[]> => {
    const query = queryOf({ ...everything(bin), q: words })
    query.set('limit', '100')
    const answer = await api<Json>('GET', `/recordings?${query.toString()}`)
    return listOf<Json>(answer, 'recordings').map((row) => libraryRow(row, storedLanguage()))
  },
  get: async (id: string, signal: AbortSignal, language: string): Promise<Recording> =>
    recordingOf(await api<Json>('GET', one(id), undefined, signal), language),
  change: (id: string, change: Change): Promise<unknown> => api('PATCH', one(id), change),
  /** Into the recycle bin. */
  remove: (id: string): Promise<unknown> => api('DELETE', one(id)),
  restore: (id: string): Promise<unknown> => api('POST', `${one(id)}/restore`),
  /** For ever. */
  purge: (id: string): Promise<unknown> => api('DELETE', `${one(id)}?purge=true`),
  /** Remembers where the reader stopped, also while the page goes away. */
  savePosition: async (id: string, seconds: number): Promise<boolean> => {
    const response = await fetch(`/api/v1${one(id)}/position`, {
      method: 'PUT',
      keepalive: true,
      credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ position_ms: Math.round(seconds * 1000) }),
    })
    return response.ok
  },
  clip: async (id: string, from: number, to: number, title: string, language: string): Promise<Job> =>
    jobOf(
      await api<Json>('POST', `${one(id)}/clips`, {
        from_ms: Math.round(from * 1000),
        to_ms: Math.round(to * 1000),
        title,
      }),
      language,
    ),
  job: async (id: string, signal: AbortSignal, language: string): Promise<Job> =>
    jobOf(await api<Json>('GET', `/jobs/${encodeURIComponent(id)}`, undefined, signal), language),
  cancelJob: (id: string): Promise<unknown> => api('POST', `/jobs/${encodeURIComponent(id)}/cancel`),

  /** The pictures of a recording; null where there are none, or they cannot be read. */
  sheet: async (id: string): Promise<Sheet | null> => {
    try {
      const described = await api<Json>('GET', `${one(id)}/sprite.json`)
      const picture = new Image()
      picture.src = `/api/v1${one(id)}/sprite`
      await picture.decode()
      return sheetOf(picture.src, described, { width: picture.naturalWidth, height: picture.naturalHeight })
    } catch {
      return null // a picture to hover over is no reason for an alarm
    }
  },

  /** Where segments of the original begin, in seconds: at key frames. Empty where it has no index. */
  starts: async (id: string): Promise<number[]> => {
    const response = await fetch(library.playlist(id, 'full'), { credentials: 'same-origin' })
    return response.ok ? segmentStarts(await response.text()) : []
  },
  /** The newest job that makes a low rendition of a recording; null: there was none. */
  lowJob: async (id: string, signal: AbortSignal, language: string): Promise<Job | null> => {
    const query = new URLSearchParams({ recording: id, kind: 'rendition', limit: '1' })
    const answer = await api<Json>('GET', `/jobs?${query.toString()}`, undefined, signal)
    const row = listOf<Json>(answer, 'items')[0]
    return row ? jobOf(row, language) : null
  },
  /** Has the low rendition made at once. */
  makeLow: async (id: string, language: string): Promise<Job> =>
    jobOf(await api<Json>('POST', `${one(id)}/jobs`, { kind: 'rendition' }), language),

  thumbnail: (id: string): string => `/api/v1${one(id)}/thumbnail`,
  /** Of a quality, or of all of them. */
  playlist: (id: string, quality: 'full' | 'low' | 'index' = 'index'): string =>
    `/api/v1${one(id)}/hls/${quality}.m3u8`,
  file: (id: string): string => `/api/v1${one(id)}/file`,
  download: (id: string): string => `/api/v1${one(id)}/file?download=1`,
  /** Where the list that a filter comes to is had as a file. */
  listFile: (filter: Filter, format: string): string => {
    const query = queryOf(filter)
    query.set('format', format)
    return `/api/v1/recordings/export?${query.toString()}`
  },
}
