import { shallowReactive } from 'vue'

/** What is fetched for one channel. */
interface Entry {
  /** The version in the list that was last fetched. */
  version: string
  etag: string
  url: string
  /** When it was last asked for, in rounds; 0: never. */
  asked: number
}

export interface Wanted {
  readonly id: string
  /** Changes when there is another picture; empty: no picture exists. */
  readonly version: string
}

/** The pictures of the wall: only of tiles in view, only when the list says that there is another one, few at a time. */
export class Thumbnails {
  /** Object URLs by channel, for templates. */
  readonly urls = shallowReactive(new Map<string, string>())
  private readonly entries = new Map<string, Entry>()
  private readonly visible = new Set<string>()
  private wanted = new Map<string, string>()
  private readonly running = new Set<string>()
  private round = 0
  private readonly ended = new AbortController()

  constructor(
    private readonly load: typeof fetch = (input, init) => fetch(input, init),
    /** Browsers allow six connections to a server over HTTP/1.1; the list and the player need some of them. */
    private readonly atOnce = 3,
  ) {}

  /** Says which pictures exist now. */
  update(list: readonly Wanted[]): void {
    this.wanted = new Map(list.map((w) => [w.id, w.version]))
    for (const id of this.entries.keys()) if (!this.wanted.has(id)) this.forget(id)
    this.next()
  }

  setVisible(id: string, seen: boolean): void {
    if (seen) this.visible.add(id)
    else this.visible.delete(id)
    if (seen) this.next()
  }

  close(): void {
    this.ended.abort()
    for (const id of [...this.entries.keys()]) this.forget(id)
  }

  private forget(id: string): void {
    const entry = this.entries.get(id)
    if (entry && entry.url !== '') URL.revokeObjectURL(entry.url)
    this.entries.delete(id)
    this.urls.delete(id)
  }

  private next(): void {
    if (this.ended.signal.aborted || this.running.size >= this.atOnce) return
    // The one that has waited longest: on a slow line the first tiles must not starve the last ones.
    const waiting = [...this.wanted].filter(
      ([id, version]) =>
        version !== '' &&
        this.visible.has(id) &&
        !this.running.has(id) &&
        this.entries.get(id)?.version !== version,
    )
    const age = ([id]: [string, string]): number => this.entries.get(id)?.asked ?? 0
    waiting.sort((a, b) => age(a) - age(b))
    for (const [id, version] of waiting.slice(0, this.atOnce - this.running.size)) {
      this.running.add(id)
      void this.fetch(id, version).finally(() => {
        this.running.delete(id)
        this.next()
      })
    }
  }

  private async fetch(id: string, version: string): Promise<void> {
    const entry = this.entries.get(id) ?? { version: '', etag: '', url: '', asked: 0 }
    entry.asked = ++this.round
    entry.version = version // one that fails is tried again with the next version
    this.entries.set(id, entry)
    try {
      const response = await this.load(`/api/v1/channels/${encodeURIComponent(id)}/thumbnail`, {
        credentials: 'same-origin',
        cache: 'no-store', // our own ETag, so that the answer says whether anything is new
        headers: entry.etag === '' ? {} : { 'If-None-Match': entry.etag },
        signal: this.ended.signal,
      })
      if (!response.ok) return // 304 too
      const picture = await response.blob()
      if (this.entries.get(id) !== entry) return // gone meanwhile
      if (entry.url !== '') URL.revokeObjectURL(entry.url)
      entry.etag = response.headers.get('ETag') ?? ''
      entry.url = URL.createObjectURL(picture)
      this.urls.set(id, entry.url)
    } catch {
      // The list says when the server is away; the old picture stays meanwhile.
    }
  }
}
