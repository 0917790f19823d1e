import type Hls from 'hls.js'
import { library } from '../api'
import type { Recording } from '../recording'

export type Quality = 'auto' | 'full' | 'low'

/** What the player is told; each is called on the page's own thread. */
export interface PlaybackEvents {
  /** The qualities that may be chosen; fewer than two: there is no choice. */
  qualities(list: readonly Quality[]): void
  /** Where pictures can begin, in seconds, as far as the playlist tells. */
  keys(starts: readonly number[]): void
  /** The line is away, and it is tried again; false: it is back. */
  restoring(is: boolean): void
  /** It cannot be played here; the sentence of the server, where it said one. */
  unplayable(why: string): void
}

export interface Playback {
  choose(quality: Quality): void
  stop(): void
}

/** How long a lost line is waited for before the next try, in ms. */
const again = 2_000

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

  /** The file as it is: a browser finds places in it by reading through it. */
  function plain(address: string): void {
    video.src = address
    if (start > 0) video.currentTime = start
    video.addEventListener('error', refuse)
  }

  function refuse(): void {
    if (!stopped) events.unplayable(video.error?.message ?? '')
  }

  function level(quality: Quality): number {
    if (!hls || quality === 'auto') return -1
    return quality === 'low' ? 0 : hls.levels.length - 1 // hls.js orders them by rate
  }

  async function begin(): Promise<void> {
    const { default: Player } = await import('hls.js')
    if (stopped) return
    if (!Player.isSupported()) {
      const native = video.canPlayType('application/vnd.apple.mpegurl') !== ''
      plain(native ? library.playlist(recording.id) : library.file(recording.id))
      return
    }
    const player = new Player({
      enableWorker: false,
      startPosition: start,
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
    player.on(Player.Events.MANIFEST_PARSED, () => {
      events.qualities(player.levels.length > 1 ? ['auto', 'full', 'low'] : [])
      if (wanted !== 'auto') player.currentLevel = level(wanted)
    })
    player.on(Player.Events.LEVEL_LOADED, (_, data) => {
      events.keys(data.details.fragments.filter((f) => !f.gap).map((f) => f.start))
    })
    player.on(Player.Events.FRAG_LOADED, () => events.restoring(false))
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
          if (data.details === Player.ErrorDetails.MANIFEST_LOAD_ERROR)
            player.loadSource(library.playlist(recording.id))
          else player.startLoad(video.currentTime)
        }, again)
        return
      }
      if (data.type === Player.ErrorTypes.MEDIA_ERROR && recovered < 2) {
        recovered++
        if (recovered === 2 && player.levels.length > 1) player.currentLevel = 0
        player.recoverMediaError()
        return
      }
      events.unplayable(data.networkDetails instanceof XMLHttpRequest ? said(data.networkDetails) : '')
    })
    player.loadSource(library.playlist(recording.id))
    player.attachMedia(video)
  }

  void begin().catch((cause: unknown) => {
    if (!stopped) events.unplayable(cause instanceof Error ? cause.message : String(cause))
  })

  return {
    choose(quality) {
      wanted = quality
      // The next pictures, not those that are here: a change of quality is no reason for a pause.
      if (hls) hls.nextLevel = level(quality)
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
