// Finding in a list that the page has whole.

const folded = (text: string): string => text.normalize('NFKC').toLowerCase()

/** The rows whose name holds every word asked for, whatever its case and width; all rows when nothing is asked for. */
export function find<T extends { name: string }>(rows: readonly T[], asked: string): readonly T[] {
  const words = folded(asked).split(/\s+/).filter(Boolean)
  return words.length === 0
    ? rows
    : rows.filter((row) => words.every((word) => folded(row.name).includes(word)))
}
