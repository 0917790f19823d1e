import { shallowReactive, shallowRef } from 'vue'

/** A part of the list as the server sends it. */
export interface Part<T> {
  readonly rows: readonly T[]
  readonly total: number
  /** There are more than `total`: only so many are counted. */
  readonly more: boolean
  /** Where the next part begins; empty: there is none, or the server does not say. */
  readonly next: string
}

/** Asks for the rows after a cursor or, where none is known, from a number on. */
export type Ask<T> = (
  at: { cursor: string } | { offset: number },
  limit: number,
  signal: AbortSignal,
) => Promise<Part<T>>

interface Running {
  readonly block: number
  readonly abort: AbortController
}

/**
 * A list of any length in blocks, of which those in sight and the last used ones are held. The block after a known
 * one is asked for by the server's cursor; one that was jumped to, by its number. Owned by the page that made it;
 * `close` ends what runs.
 */
export class Blocks<T> {
  /** Rows by block, for templates. */
  readonly loaded = shallowReactive(new Map<number, readonly T[]>())
  /** Null before the first answer. */
  readonly total = shallowRef<number | null>(null)
  readonly more = shallowRef(false)
  /** The server's list has other rows than this one: `refresh` shows them. */
  readonly changed = shallowRef(false)
  private cursors = new Map<number, string>()
  /** Block numbers, the last used one last. */
  private used: number[] = []
  private wanted: { from: number; to: number } = { from: 0, to: 0 }
  private running: Running[] = []
  private stale = new Set<number>()
  /** Rows keep their places until somebody wants the new list. */
  private still = false

  constructor(
    private readonly ask: Ask<T>,
    private readonly failed: (cause: unknown) => void,
    private readonly keyOf: (row: T) => string,
    readonly size = 100,
    private readonly kept = 40,
    private readonly atOnce = 2,
  ) {}

  /** Whether something is on its way. */
  get busy(): boolean {
    return this.running.length > 0
  }

  /** The row of a number, as far as it is here. */
  row(index: number): T | undefined {
    return this.loaded.get(Math.floor(index / this.size))?.[index % this.size]
  }

  /** Says which rows are in sight: these are fetched, and what is asked for elsewhere is given up. */
  want(from: number, to: number): void {
    this.wanted = { from: Math.floor(from / this.size), to: Math.floor(Math.max(from, to - 1) / this.size) }
    for (const r of this.running) if (!this.inSight(r.block)) r.abort.abort()
    this.running = this.running.filter((r) => !r.abort.signal.aborted)
    this.next()
  }

  /** Fetches what is in sight anew, and the rest when it is looked at again. What is shown stays meanwhile. */
  refresh(): void {
    this.stop()
    this.still = false
    this.changed.value = false
    this.cursors.clear()
    for (const block of this.loaded.keys()) {
      if (this.inSight(block)) this.stale.add(block)
      else this.loaded.delete(block)
    }
    this.used = this.used.filter((b) => this.loaded.has(b))
    this.next()
  }

  /**
   * Fetches what is in sight anew, and shows how the rows are now, each at its place: no row moves under a hand that
   * is about to click. Where there are other rows, `changed` says so.
   */
  update(): void {
    this.still = true
    for (const block of this.loaded.keys()) if (this.inSight(block)) this.stale.add(block)
    this.next()
  }

  /** Another list: nothing of the old one is kept. */
  reset(): void {
    this.stop()
    this.loaded.clear()
    this.cursors.clear()
    this.stale.clear()
    this.used = []
    this.total.value = null
    this.still = false
    this.changed.value = false
    this.wanted = { from: 0, to: 0 }
    this.next()
  }

  close(): void {
    this.stop()
    this.wanted = { from: 0, to: -1 }
  }

  private stop(): void {
    for (const r of this.running) r.abort.abort()
    this.running = []
  }

  private inSight(block: number): boolean {
    return block >= this.wanted.from && block <= this.wanted.to
  }

  private missing(block: number): boolean {
    const total = this.total.value
    if (total !== null && block > 0 && block * this.size >= total) return false
    return (!this.loaded.has(block) || this.stale.has(block)) && !this.running.some((r) => r.block === block)
  }

  private next(): void {
    for (let block = this.wanted.from; block <= this.wanted.to; block++) {
      if (this.running.length >= this.atOnce) return
      if (this.missing(block)) void this.fetch(block)
    }
  }

  private async fetch(block: number): Promise<void> {
    const mine: Running = { block, abort: new AbortController() }
    this.running.push(mine)
    const cursor = this.cursors.get(block)
    try {
      const part = await this.ask(
        cursor === undefined ? { offset: block * this.size } : { cursor },
        this.size,
        mine.abort.signal,
      )
      if (mine.abort.signal.aborted) return
      this.take(block, part)
    } catch (cause) {
      if (mine.abort.signal.aborted) return
      this.running = this.running.filter((r) => r !== mine)
      this.failed(cause) // asked again when the reader scrolls, or tries again
      return
    }
    this.running = this.running.filter((r) => r !== mine)
    this.next()
  }

  /** The rows as they are now, in their old places; null when they are other rows, or fewer, or more. */
  private inPlace(block: number, part: Part<T>): readonly T[] | null {
    const shown = this.loaded.get(block)
    if (!this.still || shown === undefined) return null
    const same =
      part.total === this.total.value &&
      part.rows.length === shown.length &&
      part.rows.every((row, i) => this.keyOf(row) === this.keyOf(shown[i] as T))
    if (same) return null
    const now = new Map(part.rows.map((row) => [this.keyOf(row), row]))
    return shown.map((row) => now.get(this.keyOf(row)) ?? row)
  }

  private take(block: number, part: Part<T>): void {
    const kept = this.inPlace(block, part)
    if (kept !== null) {
      this.stale.delete(block)
      this.loaded.set(block, kept)
      this.changed.value = true
      return
    }
    // Of a list that became shorter or longer, what is out of sight is no longer where it was.
    if (this.total.value !== null && this.total.value !== part.total) {
      this.cursors.clear()
      for (const other of [...this.loaded.keys()]) {
        if (other !== block && !this.inSight(other)) this.loaded.delete(other)
      }
    }
    this.total.value = part.total
    this.more.value = part.more
    this.stale.delete(block)
    if (part.next !== '') this.cursors.set(block + 1, part.next)
    this.loaded.set(block, part.rows)
    this.used = [...this.used.filter((b) => b !== block && this.loaded.has(b)), block]
    while (this.used.length > this.kept) {
      const oldest = this.used.findIndex((b) => !this.inSight(b))
      if (oldest < 0) return
      const [gone] = this.used.splice(oldest, 1)
      if (gone !== undefined) this.loaded.delete(gone)
    }
  }
}
