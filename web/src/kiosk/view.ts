import type { Language, Words } from './locales'
import type { Screen } from './screen'
import { soundName } from './sound'

/** The DOM of the kiosk: built once, changed only where something changed. */
export class View {
  readonly #root: HTMLElement
  readonly #stage: HTMLElement
  readonly #still: HTMLCanvasElement
  readonly #parts = new Map<string, HTMLElement>()
  readonly #words: Words
  readonly #language: Language
  readonly #tune: (stream: string) => void
  readonly #press: (key: 'quality' | 'sound') => void
  #drawn = ''

  constructor(
    root: HTMLElement,
    words: Words,
    language: Language,
    tune: (stream: string) => void,
    press: (key: 'quality' | 'sound') => void,
  ) {
    this.#root = root
    this.#words = words
    this.#language = language
    this.#tune = tune
    this.#press = press
    document.documentElement.lang = language
    document.title = words.title
    this.#stage = this.#add('stage')
    this.#still = document.createElement('canvas')
    this.#still.className = 'still'
    this.#still.dataset['testid'] = 'kiosk-still'
    root.append(this.#still)
    for (const name of ['slate', 'clock', 'label', 'notice', 'sound', 'volume', 'choice', 'list', 'offline'])
      this.#add(name)
    this.#part('slate').append(logo(), box('slate-clock'), box('slate-text'), box('slate-detail'))
    this.#part('offline').textContent = words.offline
    this.#part('sound').textContent = words.silenced
  }

  /** A new element for a new player: a decoder that hung is thrown away with its element. */
  video(volume: number, muted: boolean): HTMLVideoElement {
    const video = document.createElement('video')
    video.playsInline = true
    video.muted = muted
    video.volume = volume / 100
    video.dataset['testid'] = 'kiosk-video'
    this.#stage.replaceChildren(video)
    return video
  }

  /** Keeps what the element shows now, so that it can be seen after the element is gone. */
  keep(video: HTMLVideoElement): void {
    if (video.videoWidth === 0 || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return
    // Half of 1080p is enough for a still, and bounds the memory whatever the source sends.
    const scale = Math.min(1, 960 / video.videoWidth)
    this.#still.width = Math.round(video.videoWidth * scale)
    this.#still.height = Math.round(video.videoHeight * scale)
    this.#still.getContext('2d')?.drawImage(video, 0, 0, this.#still.width, this.#still.height)
  }

  /** Shows the time of day of the server. */
  tellTime(now: Date): void {
    const time = now.toLocaleTimeString(this.#language, {
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    const date = now.toLocaleDateString(this.#language, { month: 'long', day: 'numeric', weekday: 'long' })
    write(this.#part('clock'), time)
    write(this.#child('slate-clock'), `${time}\u3000${date}`)
  }

  /** Draws what lies over the video. */
  draw(screen: Screen): void {
    const key = JSON.stringify(screen)
    if (key === this.#drawn) return
    this.#drawn = key
    const words = this.#words
    this.#still.hidden = !screen.frozen
    const slate = this.#part('slate')
    slate.hidden = screen.slate === null
    if (screen.slate !== null) {
      slate.dataset['sentence'] = screen.slate.sentence
      write(this.#child('slate-text'), words.sentences[screen.slate.sentence])
      write(this.#child('slate-detail'), screen.slate.detail)
    }
    this.#say('notice', screen.notice === null ? '' : words.sentences[screen.notice])
    this.#part('sound').hidden = !screen.silenced
    this.#part('offline').hidden = !screen.offline
    this.#part('clock').hidden = screen.slate !== null
    this.#label(screen)
    this.#volume(screen.volume)
    this.#choice(screen.choice)
    this.#list(screen.list)
  }

  #label(screen: Screen): void {
    const label = this.#part('label')
    if (screen.digits !== '') {
      label.hidden = false
      label.replaceChildren(box('number', screen.digits + '_'))
      return
    }
    if (screen.missed !== '') {
      label.hidden = false
      label.replaceChildren(box('number', screen.missed), box('name', this.#words.noSuchChannel))
      return
    }
    label.hidden = screen.label === null
    if (screen.label === null) return
    label.replaceChildren(box('number', String(screen.label.number)), box('name', screen.label.name))
  }

  #volume(volume: number | null): void {
    const part = this.#part('volume')
    part.hidden = volume === null
    if (volume === null) return
    const bar = box('bar')
    const filled = box('filled')
    filled.style.width = `${volume}%`
    bar.append(filled)
    part.replaceChildren(box('name', this.#words.volume), bar, box('number', String(volume)))
  }

  #choice(choice: Screen['choice']): void {
    const part = this.#part('choice')
    part.hidden = choice === null
    if (choice === null) return
    const words = this.#words
    part.replaceChildren(
      ...(choice.of === 'quality'
        ? [box('name', words.quality), box('number', words.qualities[choice.quality])]
        : choice.sound === null
          ? [box('name', words.oneSound)]
          : [box('name', words.sound), box('number', soundName(choice.sound, this.#language))]),
    )
  }

  #setting(key: 'quality' | 'sound', name: string, value: string): HTMLElement {
    const button = document.createElement('button')
    button.type = 'button'
    button.tabIndex = -1
    button.className = 'setting'
    button.dataset['testid'] = `kiosk-${key}`
    button.append(box('name', name), box('value', value))
    button.addEventListener('click', () => this.#press(key))
    return button
  }

  #list(list: Screen['list']): void {
    const part = this.#part('list')
    part.hidden = list === null
    if (list === null) {
      part.replaceChildren()
      return
    }
    const rows = list.channels.map((channel, index) => {
      const row = document.createElement('button')
      row.type = 'button'
      row.tabIndex = -1
      row.className = index === list.cursor ? 'row focused' : 'row'
      row.dataset['testid'] = 'kiosk-row'
      row.append(box('number', String(channel.number)), box('name', channel.name))
      const wrong = !channel.playable || !channel.live
      if (wrong) row.append(box('state', channel.reason || this.#words.notLive))
      row.addEventListener('click', () => this.#tune(channel.stream))
      return row
    })
    const scroll = box('rows')
    scroll.append(...rows)
    const settings = box('settings')
    settings.append(
      this.#setting('quality', this.#words.quality, this.#words.qualities[list.quality]),
      ...(list.sound === null
        ? []
        : [this.#setting('sound', this.#words.sound, soundName(list.sound, this.#language))]),
    )
    part.replaceChildren(
      box('heading', this.#words.channels),
      scroll,
      settings,
      box('help', this.#words.help),
    )
    rows[list.cursor]?.scrollIntoView({ block: 'nearest' })
  }

  #say(name: string, text: string): void {
    const part = this.#part(name)
    part.hidden = text === ''
    write(part, text)
  }

  #add(name: string): HTMLElement {
    const part = box(name)
    part.dataset['testid'] = `kiosk-${name}`
    if (name !== 'stage') part.hidden = true
    this.#parts.set(name, part)
    this.#root.append(part)
    return part
  }

  #part(name: string): HTMLElement {
    const part = this.#parts.get(name)
    if (part === undefined) throw new Error(`kiosk view has no part ${name}`)
    return part
  }

  #child(name: string): HTMLElement {
    const child = this.#root.querySelector<HTMLElement>(`.${name}`)
    if (child === null) throw new Error(`kiosk view has no ${name}`)
    return child
  }
}

function box(name: string, text = ''): HTMLElement {
  const element = document.createElement('div')
  element.className = name
  element.textContent = text
  return element
}

function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function logo(): HTMLElement {
  const image = document.createElement('img')
  image.className = 'logo'
  image.src = '/favicon.svg'
  image.alt = ''
  return image
}
