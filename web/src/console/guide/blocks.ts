import { shallowReactive } from 'vue'
import { byChannel, byStart, type GuideEvent } from './events'
import { hour } from './timeline'

/** The guide is fetched in blocks of time, for all channels at once: two days of 49 channels are a few requests. */
export const blockLength = 6 * hour
/** How old a block may be before it is fetched again when it is seen. */
export const stale = 5 * 60_000
/** The most events of one request, and of one block: a multiplex that sends nonsense must not fill the memory. */
const page = 500
const most = 10_000

export type FetchPage = (
  from: number,
  to: number,
  offset: number,
  limit: number,
  signal: AbortSignal,
) => Promise<{ events: GuideEvent[]; read: number; total: number }>

export const blockOf = (time: number): number => Math.floor(time / blockLength)

/** Events by channel, fetched for what is looked at. */
export class GuideBlocks {
  /** In order of their starts. */
  readonly channels = shallowReactive(new Map<string, readonly GuideEvent[]>())
  /** Blocks that are there. */
  readonly loaded = shallowReactive(new Map<number, number>())
  private running = new Map<number, AbortController>()

  constructor(
    private readonly fetchPage: FetchPage,
    private readonly failed: (cause: unknown) => void,
  ) {}

  /** Fetches what is missing or old between two moments. What has left the sight is not waited for. */
  want(from: number, to: number, now: number): void {
    const first = blockOf(from)
    const last = blockOf(to - 1)
    for (const [block, request] of this.running) {
      if (block < first || block > last) {
        request.abort()
        this.running.delete(block)
      }
    }
    for (let block = first; block <= last; block++) {
      const at = this.loaded.get(block)
      if (this.running.has(block) || (at !== undefined && now - at < stale)) continue
      void this.fetch(block, now)
    }
  }

  close(): void {
    for (const request of this.running.values()) request.abort()
    this.running.clear()
  }

  private async fetch(block: number, now: number): Promise<void> {
    const request = new AbortController()
    this.running.set(block, request)
    const [from, to] = [block * blockLength, (block + 1) * blockLength]
    const events: GuideEvent[] = []
    try {
      for (let offset = 0; offset < most;) {
        const answer = await this.fetchPage(from, to, offset, page, request.signal)
        if (request.signal.aborted) return
        events.push(...answer.events)
        offset += answer.read
        if (answer.read === 0 || offset >= answer.total) break
      }
      this.put(from, to, events)
      this.loaded.set(block, now)
    } catch (cause) {
      if (!request.signal.aborted) this.failed(cause)
    } finally {
      if (this.running.get(block) === request) this.running.delete(block)
    }
  }

  /** The block's events take the place of those that were there before. */
  private put(from: number, to: number, events: readonly GuideEvent[]): void {
    const fresh = byChannel(events)
    for (const channel of new Set([...this.channels.keys(), ...fresh.keys()])) {
      const old = this.channels.get(channel) ?? []
      const others = old.filter((e) => e.end <= from || e.start >= to)
      const mine = fresh.get(channel) ?? []
      if (mine.length === 0 && others.length === old.length) continue
      this.channels.set(channel, [...others, ...mine].sort(byStart))
    }
  }
}
