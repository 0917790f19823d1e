import { computed, onBeforeUnmount, reactive, ref, type Ref, watch } from 'vue'
import type { Gap, Recording } from '../recording'
import { behind, gapAhead } from './gaps'
import { type Playback, openRecording, type Quality } from './playback'
import { Position, resumeAt } from './resume'
import { wayOf } from './ways'

const speedKey = 'tongxiang.player.speed'
const loudKey = 'tongxiang.player.volume'

function stored(key: string, otherwise: number): number {
  try {
    const value = Number(localStorage.getItem(key) ?? otherwise)
    return Number.isFinite(value) && value >= 0 ? value : otherwise
  } catch {
    return otherwise
  }
}

function store(key: string, value: number): void {
  try {
    localStorage.setItem(key, String(value))
  } catch {
    // Not remembered.
  }
}

/** How long the hint about a gap, or about going on, stays. */
const hintTime = 6_000

/** How often a player is looked after, and how long one waits for a picture until something is to be done, in ms. */
const beat = 300
const long = 8_000
const longWithLow = 3_000

/**
 * A recording in a video element: what it does, as a template shows it, and what people may do with it. Owned by
 * the component that calls it; `video` is set from its mounting on.
 */
export function usePlayer(video: Ref<HTMLVideoElement | null>, recording: Recording, language: string) {
  const remembered = recording.position > 0 ? recording.position : Position.local(recording.id)
  const way = wayOf(recording)
  const begin = way === 'none' && !recording.has.low ? 0 : resumeAt(remembered, recording.duration)
  const position = new Position(recording.id, begin)
  let playback: Playback | null = null
  let watchdog = 0
  let hint = 0
  let waited = 0
  /** Whether a source that comes is to be played. */
  let wanted = true

  const state = reactive({
    at: begin,
    duration: recording.duration,
    playing: false,
    waiting: true,
    restoring: false,
    buffered: 0,
    speed: 1,
    volume: 1,
    muted: false,
    quality: 'auto' as Quality,
    qualities: [] as readonly Quality[],
    unplayable: null as string | null,
    /** One waited long for a picture: the line is too thin for it, or the browser cannot decode it. */
    slow: false,
    /** Where it went on; 0: at the beginning, or no longer worth a word. */
    resumed: begin,
    ended: false,
  })
  const skipped = ref<Gap | null>(null)
  const length = computed(() => Math.max(state.duration, recording.duration))

  function bufferedTo(element: HTMLVideoElement): number {
    for (let i = 0; i < element.buffered.length; i++) {
      if (
        element.buffered.start(i) <= element.currentTime + 0.3 &&
        element.buffered.end(i) >= element.currentTime
      )
        return element.buffered.end(i)
    }
    return 0
  }

  /** Leaves a gap that was run into, or sought. */
  function overGaps(): void {
    const element = video.value
    if (!element || element.seeking) return
    const stalled = element.readyState < 3
    const gap = gapAhead(recording.gaps, element.currentTime, stalled, bufferedTo(element))
    if (gap) leap(gap)
  }

  function leap(gap: Gap): void {
    const element = video.value
    const to = behind(gap, length.value)
    if (!element || to === null) return
    place(to)
    skipped.value = gap
    clearTimeout(hint)
    hint = window.setTimeout(() => (skipped.value = null), hintTime)
  }

  function look(): void {
    const element = video.value
    if (!element || element.readyState === 0) return // between two sources it stands at 0
    state.at = element.currentTime
    state.buffered = bufferedTo(element)
    if (Number.isFinite(element.duration) && element.duration > 0) state.duration = element.duration
    if (!element.paused) position.at(element.currentTime)
    overGaps()
  }

  /** What no event tells: that a player waits at a gap, and for how long one has waited for a picture. */
  function tend(): void {
    overGaps()
    waited = state.waiting && state.playing && !state.restoring ? waited + beat : 0
    if (waited < (recording.has.low ? longWithLow : long)) return
    waited = 0
    if (!recording.has.low) state.slow = true
    else if (state.quality === 'auto') choose('low') // what is chosen by name stays
  }

  function seek(to: number): void {
    const element = video.value
    if (!element) return
    const at = Math.max(0, Math.min(to, Math.max(0, length.value - 0.1)))
    const gap = gapAhead(recording.gaps, at, false, 0)
    state.resumed = 0
    if (gap && behind(gap, length.value) !== null) return leap(gap)
    place(at)
  }

  function place(at: number): void {
    if (playback) playback.seek(at)
    else if (video.value) video.value.currentTime = at
    state.at = at
  }

  async function play(): Promise<void> {
    try {
      await video.value?.play()
    } catch {
      state.playing = false // the browser wants a click first, or it was stopped meanwhile
    }
  }

  function toggle(): void {
    const element = video.value
    if (!element) return
    if (element.paused) void play()
    else element.pause()
  }

  function setSpeed(speed: number): void {
    state.speed = speed
    if (video.value) {
      video.value.defaultPlaybackRate = speed
      video.value.playbackRate = speed
    }
    store(speedKey, speed)
  }

  function setVolume(volume: number, muted = false): void {
    const element = video.value
    if (!element) return
    element.volume = Math.max(0, Math.min(1, volume))
    element.muted = muted
    store(loudKey, element.volume)
  }

  function choose(quality: Quality): void {
    state.quality = quality
    playback?.choose(quality)
  }

  const listeners: Record<string, () => void> = {
    timeupdate: look,
    progress: look,
    durationchange: look,
    seeked: () => {
      look()
      position.at(state.at)
    },
    play: () => {
      wanted = true
      state.playing = true
      state.ended = false
    },
    playing: () => {
      state.waiting = false
      state.playing = true
    },
    canplay: () => (state.waiting = false),
    waiting: () => {
      state.waiting = true
      overGaps()
    },
    seeking: () => (state.waiting = true),
    pause: () => {
      if ((video.value?.readyState ?? 0) === 0) return // another source takes its place
      wanted = false
      state.playing = false
      position.at(state.at, true)
    },
    ended: () => {
      state.playing = false
      state.ended = true
      position.at(length.value, true)
    },
    volumechange: () => {
      state.volume = video.value?.volume ?? 1
      state.muted = video.value?.muted ?? false
    },
    ratechange: () => (state.speed = video.value?.playbackRate ?? 1),
  }

  function leave(): void {
    if (video.value && state.at > 0 && !state.ended) position.at(state.at, true)
  }

  function open(): void {
    const element = video.value
    if (!element) return
    if (way === 'none' && !recording.has.low) {
      state.waiting = false
      return
    }
    for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener)
    setSpeed(stored(speedKey, 1) || 1)
    element.volume = Math.min(1, stored(loudKey, 1))
    playback = openRecording(element, recording, begin, language, {
      attached: () => {
        state.waiting = true
        if (wanted) void play()
      },
      qualities: (list) => (state.qualities = list),
      restoring: (is) => (state.restoring = is),
      unplayable: (why) => (state.unplayable = why),
    })
    if (way !== 'all' && recording.has.low) choose('low')
    watchdog = window.setInterval(tend, beat)
    addEventListener('pagehide', leave)
  }

  const end = watch(video, (element) => {
    if (element && !playback) open()
  })

  onBeforeUnmount(() => {
    end()
    leave()
    clearInterval(watchdog)
    clearTimeout(hint)
    removeEventListener('pagehide', leave)
    const element = video.value
    if (element)
      for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name, listener)
    playback?.stop()
  })

  return { state, way, skipped, length, seek, play, toggle, setSpeed, setVolume, choose }
}

export type Player = ReturnType<typeof usePlayer>
