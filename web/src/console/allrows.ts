import { api, listOf } from '../shared/api'
import { count, type Json } from './fields'

/** The most rows a list call returns. */
const page = 500

/**
 * All rows of a list, page after page; `more` is a further part of the query, such as `&state=waiting`. What is
 * added or removed meanwhile may be missed until the next time, but no row is there twice. Throws ApiError.
 */
export async function allRows(path: string, signal: AbortSignal, more = ''): Promise<Json[]> {
  const rows = new Map<unknown, Json>()
  for (let offset = 0; ;) {
    const answer = await api<Json>('GET', `/${path}?limit=${page}&offset=${offset}${more}`, undefined, signal)
    const some = listOf<Json>(answer, path)
    for (const row of some) rows.set(row['id'], row)
    offset += some.length
    if (some.length === 0 || offset >= count(answer['total'])) return [...rows.values()]
  }
}
