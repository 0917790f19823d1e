// Names to choose from: the people or units of the recordings that the server found. Pure.
import type { LibraryRow } from './recording'

export type NameKind = 'person' | 'unit'

/** So many are read at a glance. */
const most = 12

/** A letter or digit of Latin script: it may be the initial of a name in pinyin, which the server finds. */
const latin = /^[\w\s'-]*$/

/** What the server is asked for: it finds words of two characters or more. */
export const wordsFor = (typed: string): string => {
  const words = typed.trim()
  return words.length < 2 && !latin.test(words) ? '' : words
}

/** The names that fit what is typed, those that are in most recordings first. */
export function suggested(
  rows: readonly Pick<LibraryRow, 'people' | 'units'>[],
  kind: NameKind,
  typed: string,
): string[] {
  const counts = new Map<string, number>()
  for (const row of rows)
    for (const name of new Set(kind === 'person' ? row.people : row.units))
      counts.set(name, (counts.get(name) ?? 0) + 1)
  const words = typed.trim().toLowerCase()
  const all = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0], 'zh')).map(([name]) => name)
  const spelt = all.filter((name) => name.toLowerCase().includes(words))
  // Initials of pinyin are in no name: then it is one of those that were found with it, most likely the first.
  return (spelt.length > 0 || !latin.test(words) ? spelt : all).slice(0, most)
}
