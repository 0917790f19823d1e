// One field of a REST answer at a time. Nothing throws: what is missing or nonsense is the empty value.

export type Json = Record<string, unknown>

export function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

/** A number that counts or measures: never negative, 0 when unknown. */
export function count(value: unknown): number {
  const n = Number(value)
  return Number.isFinite(n) && n > 0 ? n : 0
}

/** A number that may be negative or absent. */
export function measure(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** A date of the server; its zero time and nonsense are null. */
export function date(value: unknown): Date | null {
  if (typeof value !== 'string') return null
  const at = new Date(value)
  return Number.isNaN(at.getTime()) || at.getUTCFullYear() <= 1 ? null : at
}

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

/** The objects of a list; anything else in it is left out. */
export function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter((v): v is Json => typeof v === 'object' && v !== null) : []
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text).filter((t) => t !== '') : []
}

export function oneOf<T extends string>(value: unknown, known: readonly T[], otherwise: T): T {
  return known.find((k) => k === value) ?? otherwise
}

/** A sentence of the server, in the language of the page when it has both. */
export function sentence(value: unknown, language: string): string {
  if (typeof value !== 'object' || value === null) return text(value)
  const both = value as Json
  return text(language === 'en' ? both['en'] : both['zh']) || text(both['message']) || text(both['code'])
}
