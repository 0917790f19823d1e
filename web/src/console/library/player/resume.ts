// Where a reader goes on. The server remembers it for each person; where it does not, this browser does.
import { library } from '../api'

/** What is so near to the beginning or the end that one begins anew. */
const edge = 10

/** Where to go on; 0: at the beginning. */
export function resumeAt(position: number, duration: number): number {
  return position > edge && position < duration - edge ? position : 0
}

/** How far one must have come since the last time for it to be worth a request. */
const worth = 5

const keyOf = (id: string): string => `tongxiang.position.${id}`

/** Keeps the position of one recording. */
export class Position {
  private saved: number
  private refused = false

  constructor(
    private readonly id: string,
    initial: number,
    private readonly save: (id: string, seconds: number) => Promise<boolean> = library.savePosition,
    private readonly local: Pick<Storage, 'getItem' | 'setItem'> | null = storage(),
  ) {
    this.saved = initial
  }

  /** The position that this browser knows, where the server knows none. */
  static local(id: string, from: Pick<Storage, 'getItem'> | null = storage()): number {
    const seconds = Number(from?.getItem(keyOf(id)) ?? 0)
    return Number.isFinite(seconds) && seconds > 0 ? seconds : 0
  }

  /** Called while it plays; `now`: at the end of it, save in any case. */
  at(seconds: number, now = false): void {
    const moved = Math.abs(seconds - this.saved)
    if (moved < (now ? 0.5 : worth)) return
    this.saved = seconds
    if (this.refused) this.keep(seconds)
    else {
      this.save(this.id, seconds).then(
        (accepted) => {
          this.refused = !accepted
          if (!accepted) this.keep(seconds)
        },
        () => this.keep(seconds), // the server is away; the next time is another try
      )
    }
  }

  private keep(seconds: number): void {
    try {
      this.local?.setItem(keyOf(this.id), String(Math.round(seconds)))
    } catch {
      // Full, or switched off: it begins at the beginning the next time.
    }
  }
}

function storage(): Storage | null {
  try {
    return localStorage
  } catch {
    return null
  }
}
