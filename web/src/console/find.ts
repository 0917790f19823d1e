// Finding in a list that the page has whole.

const folded = (text: string): string => text.normalize('NFKC').toLowerCase()

/** The rows whose name holds every word asked for, whatever its case and width; all rows when nothing is asked for. */
export function find<T extends { name: string }>(rows: readonly T[], asked: string): readonly T[] {
  const words = folded(asked).split(/\s+/).filter(Boolean)
  return words.length === 0
    ? rows
    : rows.filter((row) => words.every((word) => folded(row.name).includes(word)))
}

/** How a list of kiosks is ordered: by name, those longest unseen first, those added last first. */
export const orders = ['name', 'unseen', 'added'] as const
export type Order = (typeof orders)[number]

interface Dated {
  readonly name: string
  readonly created: Date | null
  readonly seen: Date | null
}

const names = new Intl.Collator('zh-CN', { numeric: true })

/** The rows in an order; those of the same moment by name. One that was never seen is unseen for longest. */
export function ordered<T extends Dated>(rows: readonly T[], order: Order): T[] {
  const time = (moment: Date | null): number => moment?.getTime() ?? 0
  return [...rows].sort(
    (a, b) =>
      (order === 'unseen'
        ? time(a.seen) - time(b.seen)
        : order === 'added'
          ? time(b.created) - time(a.created)
          : 0) || names.compare(a.name, b.name),
  )
}
