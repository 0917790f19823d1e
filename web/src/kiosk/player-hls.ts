import Hls from 'hls.js'
import { authorization } from './device'
import { begin, type Player, type PlayerEvents, release } from './player'

declare global {
  interface Window {
    /** For support staff: how far behind the server's receipt the picture is, in seconds; null when unknown. */
    tongxiangDelay?: () => number | null
  }
}

/** Plays `/hls/{stream}/index.m3u8` by low-latency HLS. */
export function playHls(
  video: HTMLVideoElement,
  stream: string,
  token: string,
  events: PlayerEvents,
): Player {
  let stopped = false
  const hls = new Hls({
    lowLatencyMode: true,
    // Fragmented MP4 needs no transmuxing, and a worker from a blob would need a hole in the CSP.
    enableWorker: false,
    // A kiosk runs for months: what has been seen is dropped, what is to come is bounded.
    backBufferLength: 10,
    maxBufferLength: 12,
    maxMaxBufferLength: 20,
    liveSyncDuration: 1.5,
    liveMaxLatencyDuration: 6,
    maxLiveSyncPlaybackRate: 1.08,
    // One retry inside hls.js for a lost segment; the machine has the back-off for everything longer.
    manifestLoadPolicy: policy(6_000, 1),
    playlistLoadPolicy: policy(8_000, 2),
    fragLoadPolicy: policy(8_000, 2),
    xhrSetup(xhr) {
      for (const [name, value] of Object.entries(authorization(token))) xhr.setRequestHeader(name, value)
    },
  })
  const fail = (cause: string): void => {
    if (!stopped) events.failed(cause)
  }
  let recovered = false
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
      recovered = true
      hls.recoverMediaError()
      return
    }
    fail(data.details)
  })
  hls.on(
    Hls.Events.MANIFEST_PARSED,
    () =>
      void begin(
        video,
        guarded(events, () => stopped),
      ),
  )
  const onPlaying = (): void => {
    if (!stopped) events.playing()
  }
  const onError = (): void => {
    if (recovered) fail(video.error?.message ?? 'video')
  }
  video.addEventListener('playing', onPlaying)
  video.addEventListener('error', onError)
  window.tongxiangDelay = () => (hls.playingDate ? (Date.now() - hls.playingDate.getTime()) / 1000 : null)
  hls.attachMedia(video)
  hls.loadSource(`/hls/${stream}/index.m3u8`)
  return {
    stop() {
      stopped = true
      video.removeEventListener('playing', onPlaying)
      video.removeEventListener('error', onError)
      hls.destroy()
      release(video)
    },
  }
}

/** Whether this browser has media source extensions; otherwise only WHEP can be played. */
export function hlsSupported(): boolean {
  return Hls.isSupported()
}

function policy(firstByte: number, retries: number) {
  const retry = { maxNumRetry: retries, retryDelayMs: 300, maxRetryDelayMs: 1_000 }
  return {
    default: {
      maxTimeToFirstByteMs: firstByte,
      maxLoadTimeMs: 15_000,
      timeoutRetry: retry,
      errorRetry: retry,
    },
  }
}

function guarded(events: PlayerEvents, stopped: () => boolean): PlayerEvents {
  return {
    playing: () => stopped() || events.playing(),
    failed: (cause) => stopped() || events.failed(cause),
    silenced: () => stopped() || events.silenced(),
  }
}
