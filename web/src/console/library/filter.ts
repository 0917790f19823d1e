// What a reader of the library looks for, and the words in which the server is asked for it.
import type { Class } from './recording'

export const orders = ['newest', 'oldest', 'longest', 'largest', 'title'] as const
export type Order = (typeof orders)[number]

export interface Filter {
  /** Words of the title, people, units; Chinese of two characters and initials of pinyin are found too. */
  q: string
  class: Class
  /** A stream's name; empty: any. */
  stream: string
  state: string
  /** The whole name of somebody, or of a unit, as the recording has it. */
  person: string
  unit: string
  /** Days as the browser's date field has them: 2026-11-26, of the reader's own zone. */
  from: string
  to: string
  order: Order
  /** The recycle bin instead of the library. */
  bin: boolean
}

export const everything = (bin = false): Filter => ({
  q: '',
  class: '',
  stream: '',
  state: '',
  person: '',
  unit: '',
  from: '',
  to: '',
  order: 'newest',
  bin,
})

/** How many things are asked for beside words. */
export const asked = (filter: Filter): number =>
  [filter.class, filter.stream, filter.state, filter.person, filter.unit, filter.from, filter.to].filter(
    (v) => v !== '',
  ).length

/** Whether anything is left out. */
export const narrowed = (filter: Filter): boolean => filter.q.trim() !== '' || asked(filter) > 0

/** The midnight that a day begins with, some days later; null when it is no day. */
function midnight(day: string, later = 0): Date | null {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day)
  if (!parts) return null
  const at = new Date(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]) + later)
  return Number.isNaN(at.getTime()) ? null : at
}

/** The filter as the query of a list; what is not asked for is left out. The last day is one of the days. */
export function queryOf(filter: Filter): URLSearchParams {
  const words = new URLSearchParams()
  const add = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') words.set(key, value)
  }
  add('q', filter.q.trim())
  add('class', filter.class)
  add('stream', filter.stream)
  add('state', filter.state)
  add('person', filter.person)
  add('unit', filter.unit)
  add('from', midnight(filter.from)?.toISOString())
  add('to', midnight(filter.to, 1)?.toISOString())
  add('sort', filter.order === 'newest' ? '' : filter.order)
  if (filter.bin) words.set('deleted', 'true')
  return words
}
