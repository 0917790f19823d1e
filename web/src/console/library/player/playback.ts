import type Hls from 'hls.js'
import { library } from '../api'
import type { Recording } from '../recording'
import { joined, wayOf } from './ways'

export type Quality = 'auto' | 'full' | 'low'

/** What the player is told; each is called on the page's own thread. */
export interface PlaybackEvents {
  /** A source was attached, and may be played: at the beginning, and when another one takes its place. */
  attached(): void
  /** The qualities that may be chosen; fewer than two: there is no choice. */
  qualities(list: readonly Quality[]): void
  /** The line is away, and it is tried again; false: it is back. */
  restoring(is: boolean): void
  /** It cannot be played here; the sentence of the server, where it said one. */
  unplayable(why: string): void
}

export interface Playback {
  choose(quality: Quality): void
  /** Goes to a place. On a thin line, in automatic quality, its first seconds come in low quality. */
  seek(to: number): void
  stop(): void
}

/** How long a lost line is waited for before the next try, in ms. */
const again = 2_000

/** How long the first segment behind a jump may take in full quality, in seconds, before it is asked for in low. */
const patience = 0.6

const lineKey = 'tongxiang.player.line'

/** What is large enough for the time that it took to tell of the line, in bytes. */
const telling = 50_000

/** Bits a second of the line, as it was measured last, or by what the page itself came of; 0: not known. */
function lineOf(): number {
  try {
    const measured = Number(localStorage.getItem(lineKey))
    if (measured > 0) return measured
  } catch {
    // Not remembered.
  }
  const parts = performance.getEntriesByType('resource') as PerformanceResourceTiming[]
  const part = parts.filter((p) => p.transferSize > telling && p.responseEnd > p.responseStart).at(-1)
  return part ? (8000 * part.transferSize) / (part.responseEnd - part.responseStart) : 0
}

/** How much more than a recording's average rate the line must have: a second of it may have twice as much. */
const spare = 1.5

/** Whether a jump should begin in low quality: by the bits of a segment in full, and those a second of the line. */
export function lowFirst(segment: number, line: number): boolean {
  return !(segment / line <= patience)
}

/**
 * Plays a recording from its playlist, in which every place is found at once; a recording without an index, by its
 * file. Where the browser plays playlists itself and has no media source extensions, it is left to it.
 */
export function openRecording(
  video: HTMLVideoElement,
  recording: Recording,
  start: number,
  language: string,
  events: PlaybackEvents,
): Playback {
  let stopped = false
  let hls: Hls | null = null
  let wanted: Quality = 'auto'
  let timer = 0
  let at = start
  /** Counts what was begun: only the newest goes on. */
  let turn = 0
  /** Each quality is a source of its own: another one takes the place of what plays. */
  const apart = recording.has.low && !joined(recording)
  const whole = wayOf(recording) === 'all'

  /** The file as it is: a browser finds places in it by reading through it. */
  function plain(address: string): void {
    video.src = address
    if (at > 0) video.currentTime = at
    video.addEventListener('error', refuse)
    events.attached()
  }

  /** The quality that plays where each is a source of its own. */
  function chosen(): 'full' | 'low' {
    if (!whole) return 'low'
    if (wanted !== 'auto') return wanted
    const line = lineOf()
    const rate = (recording.bytes * 8) / Math.max(recording.duration, 1)
    return line > 0 && line < rate * spare ? 'low' : 'full'
  }

  /** What plays. */
  let current = ''
  const source = (): string => library.playlist(recording.id, apart ? chosen() : undefined)

  function noteLine(): void {
    try {
      if (hls && Number.isFinite(hls.bandwidthEstimate))
        localStorage.setItem(lineKey, String(Math.round(hls.bandwidthEstimate)))
    } catch {
      // Not remembered.
    }
  }

  /** Ends what plays and begins anew where it was, when another source is wanted. */
  function change(): void {
    if (source() === current || stopped) return
    at = video.currentTime || at
    clearTimeout(timer)
    hls?.destroy()
    hls = null
    run()
  }

  function refuse(): void {
    if (!stopped) events.unplayable(video.error?.message ?? '')
  }

  function isBuffered(at: number): boolean {
    for (let i = 0; i < video.buffered.length; i++)
      if (video.buffered.start(i) <= at && at < video.buffered.end(i)) return true
    return false
  }

  /** Has the next segment asked for in low quality, and only that one, where the line would take long over a full one. */
  function primeLow(at: number): void {
    const low = hls?.levels[0]
    const now = hls?.levels[hls.loadLevel]
    // Without its playlist the low one would take longer, not less.
    if (!hls || !low?.details || !now || now === low || !hls.autoLevelEnabled || isBuffered(at)) return
    const length = now.details?.targetduration ?? 4
    if (lowFirst(length * now.bitrate, hls.bandwidthEstimate)) hls.nextLoadLevel = 0
  }

  function level(quality: Quality): number {
    if (!hls || quality === 'auto') return -1
    return quality === 'low' ? 0 : hls.levels.length - 1 // hls.js orders them by rate
  }

  async function begin(): Promise<void> {
    const mine = ++turn
    const { default: Player } = await import('hls.js')
    if (stopped || mine !== turn) return
    current = source() // it may have been the line that brought the player
    if (!Player.isSupported()) {
      const native = video.canPlayType('application/vnd.apple.mpegurl') !== ''
      plain(native ? current : library.file(recording.id))
      return
    }
    const player = new Player({
      enableWorker: false,
      startPosition: at,
      // Low first, where there are both in one: its playlist is here from then on, and the line is measured with a small segment that is shown.
      startLevel: 0,
      testBandwidth: false,
      maxBufferLength: 30,
      backBufferLength: 60,
      // Of a running recording, what is old counts as much as what is new.
      liveDurationInfinity: false,
      liveSyncDurationCount: 3,
      liveMaxLatencyDurationCount: Infinity,
      xhrSetup: (xhr) => xhr.setRequestHeader('Accept-Language', language),
    })
    hls = player
    let recovered = 0
    player.on(Player.Events.MEDIA_ATTACHED, () => events.attached())
    player.on(Player.Events.MANIFEST_PARSED, () => {
      events.qualities(player.levels.length > 1 || (apart && whole) ? ['auto', 'full', 'low'] : [])
      if (!apart && wanted !== 'auto') player.currentLevel = level(wanted)
    })
    player.on(Player.Events.FRAG_BUFFERED, () => {
      noteLine()
      events.restoring(false)
    })
    player.on(Player.Events.ERROR, (_, data) => {
      if (!data.fatal || stopped) return
      const status = data.response?.code ?? 0
      if (data.details === Player.ErrorDetails.MANIFEST_LOAD_ERROR && status === 404) {
        // Older than the index: its file plays, only slower to search.
        player.destroy()
        hls = null
        if (recording.format === 'fmp4') plain(library.file(recording.id))
        else events.unplayable('')
        return
      }
      if (data.type === Player.ErrorTypes.NETWORK_ERROR && status < 400) {
        events.restoring(true)
        clearTimeout(timer)
        timer = window.setTimeout(() => {
          if (data.details === Player.ErrorDetails.MANIFEST_LOAD_ERROR) player.loadSource(current)
          else player.startLoad(video.currentTime)
        }, again)
        return
      }
      if (data.type === Player.ErrorTypes.MEDIA_ERROR && recovered < 2) {
        recovered++
        if (recovered === 2 && player.levels.length > 1) player.currentLevel = 0 // perhaps only the full one is broken
        player.recoverMediaError()
        return
      }
      events.unplayable(data.networkDetails instanceof XMLHttpRequest ? said(data.networkDetails) : '')
    })
    player.loadSource(current)
    player.attachMedia(video)
  }

  function run(): void {
    begin().catch((cause: unknown) => {
      if (!stopped) events.unplayable(cause instanceof Error ? cause.message : String(cause))
    })
  }

  run()

  return {
    choose(quality) {
      wanted = quality
      if (apart) change()
      // The next pictures, not those that are here: a change of quality is no reason for a pause.
      else if (hls) hls.nextLevel = level(quality)
    },
    seek(to) {
      at = to
      primeLow(to)
      video.currentTime = to
    },
    stop() {
      stopped = true
      clearTimeout(timer)
      video.removeEventListener('error', refuse)
      hls?.destroy()
      video.removeAttribute('src')
      video.load()
    },
  }
}

/** The sentence in an answer of the server. */
function said(request: XMLHttpRequest): string {
  if (request.responseType !== '' && request.responseType !== 'text') return ''
  try {
    const problem = JSON.parse(request.responseText) as { detail?: string; title?: string }
    return problem.detail ?? problem.title ?? ''
  } catch {
    return ''
  }
}
