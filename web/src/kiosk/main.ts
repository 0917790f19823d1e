import './kiosk.css'
import { deviceToken, memory } from './device'
import { fetchGuide } from './guide'
import { command } from './keys'
import { chooseLanguage, words } from './locales'
import { type Action, type Event, initial, type State, step } from './machine'
import type { Player, PlayerEvents, Wanted } from './player'
import { hlsSupported, playHls } from './player-hls'
import { playWhep } from './player-whep'
import { parseLine, parseQuality } from './quality'
import { nextReload, reloadDue } from './reload'
import { screen } from './screen'
import { soundsOf } from './sound'
import { View } from './view'

const keys = {
  stream: 'tongxiang.kiosk.stream',
  volume: 'tongxiang.kiosk.volume',
  quality: 'tongxiang.kiosk.quality',
  sound: 'tongxiang.kiosk.sound',
  line: 'tongxiang.kiosk.line',
  language: 'tongxiang.language',
}

/** Looks at the server this often: slowly while all is well, faster while something is wrong. Milliseconds. */
const poll = { calm: 15_000, troubled: 4_000 }
const beat = 250

/** Performs what the machine says, and tells it what happened. One per page, for the life of the page. */
class Kiosk {
  readonly #token = deviceToken()
  readonly #query = new URLSearchParams(location.search)
  readonly #language = chooseLanguage(this.#query, memory.get(keys.language))
  readonly #view: View
  readonly #reload: Date | null
  readonly #whep: boolean
  readonly #line: number
  #state: State
  #video: HTMLVideoElement | null = null
  #player: Player | null = null
  #muted = false
  /** The server's clock minus ours, milliseconds. */
  #offset = 0

  constructor(root: HTMLElement) {
    this.#whep = this.#query.get('mode') === 'whep' || !hlsSupported()
    this.#reload = this.#query.get('reload') === 'off' ? null : nextReload(new Date(), Math.random())
    this.#view = new View(
      root,
      words(this.#language),
      this.#language,
      (stream) => this.#feed({ kind: 'tune', stream }),
      (kind) => this.#feed({ kind: 'command', command: { kind } }),
    )
    for (const [name, key] of [
      ['line', keys.line],
      ['quality', keys.quality],
    ] as const) {
      const given = this.#query.get(name) // set once by whoever installs the device
      if (given !== null) memory.set(key, given)
    }
    this.#line = parseLine(memory.get(keys.line))
    const volume = Number.parseInt(memory.get(keys.volume), 10)
    this.#state = initial(performance.now(), volume >= 0 && volume <= 100 ? volume : 80, {
      quality: parseQuality(memory.get(keys.quality)),
      soundKey: memory.get(keys.sound),
    })
  }

  run(): void {
    const channel = this.#query.get('channel')
    const wanted =
      channel === null ? memory.get(keys.stream) : channel.includes('/') ? channel : `channels/${channel}`
    // The picture starts before the list of channels is here.
    this.#feed({ kind: 'start', stream: wanted })
    addEventListener('keydown', (event) => this.#key(event))
    addEventListener('click', (event) => this.#tap(event))
    addEventListener('online', () => void this.#look())
    setInterval(() => this.#beat(), beat)
    this.#hidePointer()
    void this.#watchServer()
    void this.#stayAwake()
  }

  #feed(event: Event): void {
    const now = performance.now()
    const { state, actions } = step(this.#state, event, now, Math.random())
    this.#state = state
    for (const action of actions) this.#perform(action)
    this.#view.draw(screen(this.#state, now))
  }

  #perform(action: Action): void {
    switch (action.do) {
      case 'open':
        this.#open(action.stream, action.session)
        break
      case 'close':
        this.#close()
        break
      case 'volume':
        if (this.#video !== null) this.#video.volume = action.volume / 100
        memory.set(keys.volume, String(action.volume))
        break
      case 'unmute':
        this.#muted = false
        if (this.#video !== null) this.#video.muted = false
        break
      case 'quality':
        memory.set(keys.quality, action.quality)
        break
      case 'hear':
        memory.set(keys.sound, action.key)
        if (this.#player?.hear !== undefined) this.#player.hear(action.index)
        else this.#feed({ kind: 'reopen' })
        break
      case 'remember':
        memory.set(keys.stream, action.stream)
        break
    }
  }

  #open(stream: string, session: number): void {
    this.#video = this.#view.video(this.#state.volume, this.#muted)
    const events: PlayerEvents = {
      playing: () => this.#feed({ kind: 'playing', session }),
      failed: (_, why = '') => this.#feed({ kind: 'failed', session, why }),
      silenced: () => {
        this.#muted = true
        this.#feed({ kind: 'silenced', session })
      },
      sounds: (sounds, heard) => this.#feed({ kind: 'sounds', session, sounds, heard }),
    }
    const wanted: Wanted = {
      quality: this.#state.quality,
      line: this.#line,
      language: this.#language,
      sound: this.#state.soundKey,
    }
    if (this.#whep) {
      const channel = this.#state.channels.find((c) => c.stream === stream)
      const sounds = soundsOf(channel?.languages ?? [], this.#language)
      this.#player = playWhep(this.#video, stream, this.#token, events, wanted, sounds)
    } else {
      this.#player = playHls(this.#video, stream, this.#token, events, wanted)
    }
  }

  #close(): void {
    if (this.#video !== null) this.#view.keep(this.#video)
    this.#player?.stop()
    this.#player = null
    this.#video?.remove()
    this.#video = null
  }

  #beat(): void {
    const video = this.#video
    // A hidden page decodes nothing, and that is no fault; a stream without a picture has nothing to count.
    const counts = video !== null && video.videoWidth > 0 && !document.hidden
    const frames = counts ? video.getVideoPlaybackQuality().totalVideoFrames : null
    this.#feed({ kind: 'tick', position: video?.currentTime ?? 0, frames })
    this.#view.tellTime(new Date(Date.now() + this.#offset))
    if (reloadDue(this.#reload, new Date(), this.#state.online)) location.reload()
  }

  async #watchServer(): Promise<void> {
    for (;;) {
      await this.#look()
      const calm = this.#state.phase === 'playing' && this.#state.online
      const wait = (calm ? poll.calm : poll.troubled) * (0.8 + 0.4 * Math.random())
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }

  async #look(): Promise<void> {
    const guide = await fetchGuide(this.#token, this.#language, this.#state.channels)
    // Below two seconds the difference may be the answer's way and the whole seconds of HTTP dates.
    if (guide.offset !== null) this.#offset = Math.abs(guide.offset) > 2_000 ? guide.offset : 0
    this.#feed({ kind: 'heartbeat', online: guide.online, denied: guide.denied })
    if (guide.channels !== null) this.#feed({ kind: 'channels', channels: guide.channels })
  }

  #key(event: KeyboardEvent): void {
    // A modifier alone, or a browser shortcut, is not for the television.
    if (event.ctrlKey || event.altKey || event.metaKey) return
    const asked = command(event.key)
    if (asked.kind !== 'any') event.preventDefault()
    this.#feed({ kind: 'command', command: asked })
  }

  /** A finger or a mouse: the first tap is for the sound, then the list comes and goes. */
  #tap(event: MouseEvent): void {
    if (event.target instanceof Element && event.target.closest('.list') !== null) return
    const kind = this.#state.silenced ? 'any' : this.#state.cursor === null ? 'ok' : 'back'
    this.#feed({ kind: 'command', command: { kind } })
  }

  #hidePointer(): void {
    let timer = 0
    const wake = (): void => {
      document.body.classList.remove('idle')
      clearTimeout(timer)
      timer = window.setTimeout(() => document.body.classList.add('idle'), 3_000)
    }
    addEventListener('pointermove', wake)
    wake()
  }

  async #stayAwake(): Promise<void> {
    const lock = async (): Promise<void> => {
      if (document.hidden || !('wakeLock' in navigator)) return
      // Refused on plain HTTP and on some television sets; those do not sleep while a video plays.
      await navigator.wakeLock.request('screen').catch(() => undefined)
    }
    document.addEventListener('visibilitychange', () => void lock())
    await lock()
  }
}

const root = document.getElementById('app')
if (root === null) throw new Error('kiosk.html has no #app')
new Kiosk(root).run()
