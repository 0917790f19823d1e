// The calls of the duty desk. All throw ApiError.
import { api, ApiError, listOf } from '../../shared/api'
import { storedLanguage } from '../../shared/i18n'
import { count, date, type Json, objects, text } from '../fields'
import { allRows } from '../allrows'
import { type RecordingRow, recordingRow } from '../rows'
import {
  listedSchedule,
  type ListedSchedule,
  type Occurrence,
  occurrenceOf,
  type Schedule,
  scheduleOf,
} from './plan'

const one = (id: string): string => `/schedules/${encodeURIComponent(id)}`
const query = (words: Record<string, string>): string => new URLSearchParams(words).toString()

function occurrences(rows: readonly Json[]): Occurrence[] {
  return rows.map((row) => occurrenceOf(row, storedLanguage())).filter((x) => x !== null)
}

export interface Preview {
  readonly items: readonly Occurrence[]
  readonly conflicts: readonly Occurrence[]
}

export interface Storage {
  readonly used: number
  readonly free: number
  readonly perDay: number
  /** Days of recordings that the rate was measured over. */
  readonly measured: number
  /** If nothing is removed; null: not by what is recorded now. */
  readonly fullAt: Date | null
  /** With what retention and quotas remove until then; null: never. */
  readonly fullByRules: Date | null
  /** Of used, what jobs made: pictures, low renditions, exports. */
  readonly derived: number
}

/** Null where the server has no such part: it is shown as not available. */
async function maybe<T>(what: Promise<T>): Promise<T | null> {
  try {
    return await what
  } catch (cause) {
    if (cause instanceof ApiError && (cause.status === 404 || cause.status === 405)) return null
    throw cause
  }
}

export const desk = {
  plan: async (from: number, to: number, signal: AbortSignal): Promise<Occurrence[]> => {
    const window = query({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })
    return occurrences(
      listOf<Json>(await api('GET', `/schedules/plan?${window}`, undefined, signal), 'items'),
    )
  },
  planFile: (from: number, to: number, format: string): string =>
    `/api/v1/schedules/plan?${query({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), format })}`,
  /** The plan for a calendar program. */
  planCalendar: (from: number, to: number): string =>
    `/api/v1/schedules/plan.ics?${query({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })}`,
  /** All schedules, the newest first, each with its next time and what became of the last. */
  schedules: async (signal: AbortSignal, language: string): Promise<ListedSchedule[]> => {
    const rows: Json[] = []
    for (;;) {
      const words = query({ outlook: 'true', limit: '500', offset: String(rows.length) })
      const answer = await api<Json>('GET', `/schedules?${words}`, undefined, signal)
      const part = listOf<Json>(answer, 'items')
      rows.push(...part)
      if (part.length === 0 || rows.length >= count(answer['total'])) break
    }
    return rows.map((row) => listedSchedule(row, language))
  },
  schedule: async (id: string): Promise<Schedule> => scheduleOf(await api<Json>('GET', one(id))),
  addSchedule: (body: Json): Promise<unknown> => api('POST', '/schedules', body),
  changeSchedule: (id: string, body: Json, stop = false): Promise<unknown> =>
    api('PATCH', `${one(id)}${stop ? '?stop=true' : ''}`, body),
  /** Leaves one time out, or takes it in again; `start` is without padding. */
  skip: (id: string, start: number, skip: boolean): Promise<unknown> =>
    api('POST', `${one(id)}/skip`, { start: new Date(start).toISOString(), skip }),
  removeSchedule: (id: string, stop = false): Promise<unknown> =>
    api('DELETE', `${one(id)}${stop ? '?stop=true' : ''}`),
  /** What a schedule would come to until a moment, in the place of the one with the id where one is given. */
  preview: async (body: Json, id: string, until: Date, signal?: AbortSignal): Promise<Preview> => {
    const words = query({ to: until.toISOString(), ...(id === '' ? {} : { id }) })
    const answer = await api<Json>('POST', `/schedules/preview?${words}`, body, signal)
    return {
      items: occurrences(objects(answer['items'])),
      conflicts: occurrences(objects(answer['conflicts'])),
    }
  },

  running: async (signal: AbortSignal, language: string): Promise<RecordingRow[]> => {
    const rows = [
      ...(await allRows('recordings', signal, '&state=waiting')),
      ...(await allRows('recordings', signal, '&state=recording')),
    ]
    return rows.map((row) => recordingRow(row, language))
  },
  storage: async (signal: AbortSignal): Promise<Storage | null> => {
    const row = await maybe(api<Json>('GET', '/storage', undefined, signal))
    if (row === null) return null
    return {
      used: count(row['used']),
      free: count(row['free']),
      perDay: count(row['bytes_per_day']),
      measured: count(row['measured_days']),
      fullAt: date(row['full_at']),
      fullByRules: date(row['full_at_by_rules']),
      derived: count(row['derived']),
    }
  },
}

/** Where a list is had as a file for a spreadsheet. */
export const listFile = (list: string, format: string): string =>
  `/api/v1/exports/${encodeURIComponent(list)}?format=${format}`

export interface Entry {
  readonly id: string
  readonly at: Date | null
  readonly name: string
  readonly kind: 'note' | 'fault' | 'handover'
  readonly text: string
}

export const entryOf = (row: Json): Entry => ({
  id: text(row['id']),
  at: date(row['at']),
  name: text(row['name']),
  kind: row['kind'] === 'fault' || row['kind'] === 'handover' ? row['kind'] : 'note',
  text: text(row['text']),
})

export const shiftLog = {
  page: async (
    limit: number,
    offset: number,
    q: string,
    signal: AbortSignal,
  ): Promise<{ entries: Entry[]; total: number } | null> => {
    const words = query({ limit: String(limit), offset: String(offset), ...(q === '' ? {} : { q }) })
    const answer = await maybe(api<Json>('GET', `/shiftlog?${words}`, undefined, signal))
    if (answer === null) return null
    return { entries: listOf<Json>(answer, 'items').map(entryOf), total: count(answer['total']) }
  },
  add: (kind: Entry['kind'], words: string): Promise<unknown> =>
    api('POST', '/shiftlog', { kind, text: words }),
}

export const jobCalls = {
  /** The newest jobs of a state, or of all states, and how many there are; null where the server has no such part. */
  newest: async (
    state: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ rows: Json[]; total: number } | null> => {
    const words = query({ limit: String(limit), ...(state === '' ? {} : { state }) })
    const answer = await maybe(api<Json>('GET', `/jobs?${words}`, undefined, signal))
    return answer === null ? null : { rows: listOf<Json>(answer, 'jobs'), total: count(answer['total']) }
  },
  retry: (id: string): Promise<unknown> => api('POST', `/jobs/${encodeURIComponent(id)}/retry`),
  cancel: (id: string): Promise<unknown> => api('POST', `/jobs/${encodeURIComponent(id)}/cancel`),
}
