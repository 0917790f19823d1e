import Hls from 'hls.js'
import { type Abr, beginAbr, judge, levelFor } from './abr'
import { authorization, memory } from './device'
import { begin, type Player, type PlayerEvents, release, sentence, type Wanted } from './player'
import { ceiling, streamAddresses } from './quality'
import { remembered, type Sound } from './sound'

declare global {
  interface Window {
    /** For support staff: how far behind the server's receipt the picture is, in seconds; null when unknown. */
    tongxiangDelay?: () => number | null
    /** For support staff: what plays and what may play. */
    tongxiangLevels?: () => {
      playing: number
      bitrates: number[]
      changes: number
      sound: string
    }
  }
}

/** The rate of the level that this device played last, bits a second. */
const rateKey = 'tongxiang.kiosk.rate'
/** How often the buffer is looked at, in ms. */
const look = 250

/** Plays `/hls/{stream}/index.m3u8` by low-latency HLS. */
export function playHls(
  video: HTMLVideoElement,
  stream: string,
  token: string,
  events: PlayerEvents,
  wanted: Wanted,
): Player {
  let stopped = false
  let changes = 0
  const addresses = streamAddresses(stream, wanted.quality)
  let fallback = addresses.fallback
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
    manifestLoadPolicy: policy(9_000, 1),
    playlistLoadPolicy: policy(9_000, 2),
    fragLoadPolicy: policy(8_000, 2),
    xhrSetup(xhr) {
      xhr.setRequestHeader('Accept-Language', wanted.language)
      for (const [name, value] of Object.entries(authorization(token))) xhr.setRequestHeader(name, value)
    },
  })
  const fail = (cause: string, why = ''): void => {
    if (!stopped) events.failed(cause, why)
  }
  let recovered = false
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return
    if (data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR && fallback !== null) {
      // There is no such rendition, or no room for it: better too much than nothing.
      hls.loadSource(fallback)
      fallback = null
      return
    }
    if (
      abr !== null &&
      abr.level > 0 &&
      data.type === Hls.ErrorTypes.NETWORK_ERROR &&
      data.level !== undefined
    ) {
      // This level cannot be had now (no room for its transcoder): the one below.
      abr = beginAbr(abr.level - 1, performance.now())
      hls.currentLevel = abr.level
      hls.startLoad()
      return
    }
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
      recovered = true
      hls.recoverMediaError()
      return
    }
    // hls.js hands the request on: its answer says why in words.
    fail(data.details, data.networkDetails instanceof XMLHttpRequest ? answered(data.networkDetails) : '')
  })
  // hls.js orders levels by rate, the lowest first.
  let abr: Abr | null = null
  let top = 0
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    const rates = hls.levels.map((level) => level.bitrate)
    top = ceiling(rates, wanted.quality, wanted.line)
    const last = Number.parseInt(memory.get(rateKey), 10)
    abr = beginAbr(Math.min(top, levelFor(rates, last > 0 ? last : Infinity)), performance.now())
    hls.loadLevel = abr.level
    // What a thin line brings comes unevenly: a second more in hand.
    if (abr.level < rates.length - 1 || wanted.quality !== 'auto') hls.config.liveSyncDuration = 2.5
    void begin(
      video,
      guarded(events, () => stopped),
    )
  })
  const timer = setInterval(() => {
    if (abr === null || video.paused || document.hidden || hls.levels.length < 2) return
    const next = judge(abr, ahead(video), top, performance.now())
    if (next.level < abr.level) {
      // What is on its way is for the level that is too much: drop it.
      hls.currentLevel = next.level
      hls.config.liveSyncDuration = 2.5
    } else if (next.level > abr.level) hls.loadLevel = next.level
    if (next.level !== abr.level || (abr.trial && !next.trial)) remember(next)
    abr = next
  }, look)
  const remember = (now: Abr): void => {
    const rate = hls.levels[now.trial ? now.level - 1 : now.level]?.bitrate
    // The highest needs no number: the source may grow.
    if (rate !== undefined)
      memory.set(rateKey, now.level === hls.levels.length - 1 && !now.trial ? '' : String(rate))
  }
  const list = (): Sound[] => hls.audioTracks.map((t) => ({ key: t.lang ?? t.name, name: t.name }))
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => {
    const sounds = list()
    if (stopped || sounds.length < 2) return
    const at = remembered(sounds, wanted.sound)
    if (at >= 0) hls.audioTrack = at
    events.sounds(sounds, Math.max(0, hls.audioTrack))
  })
  hls.on(Hls.Events.LEVEL_SWITCHED, () => changes++)
  const onPlaying = (): void => {
    if (!stopped) events.playing()
  }
  const onError = (): void => {
    if (recovered) fail(video.error?.message ?? 'video')
  }
  video.addEventListener('playing', onPlaying)
  video.addEventListener('error', onError)
  window.tongxiangDelay = () => (hls.playingDate ? (Date.now() - hls.playingDate.getTime()) / 1000 : null)
  window.tongxiangLevels = () => ({
    playing: hls.currentLevel,
    bitrates: hls.levels.map((level) => level.bitrate),
    changes,
    sound: hls.audioTracks[hls.audioTrack]?.name ?? '',
  })
  hls.attachMedia(video)
  hls.loadSource(addresses.first)
  return {
    hear(index) {
      hls.audioTrack = index
    },
    stop() {
      stopped = true
      clearInterval(timer)
      video.removeEventListener('playing', onPlaying)
      video.removeEventListener('error', onError)
      hls.destroy()
      release(video)
    },
  }
}

function answered(request: XMLHttpRequest): string {
  return request.responseType === '' || request.responseType === 'text' ? sentence(request.responseText) : ''
}

/** Seconds of media ahead of the picture. */
function ahead(video: HTMLVideoElement): number {
  const at = video.currentTime
  for (let i = 0; i < video.buffered.length; i++) {
    // A hole of a frame or two is played over.
    if (video.buffered.start(i) <= at + 0.1 && video.buffered.end(i) >= at) return video.buffered.end(i) - at
  }
  return 0
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
    failed: (cause, why) => stopped() || events.failed(cause, why),
    silenced: () => stopped() || events.silenced(),
    sounds: (list, heard) => stopped() || events.sounds(list, heard),
  }
}
