import type { Channel } from './channel'
import type { Quality } from './quality'
import type { Sound } from './sound'
import { current, limits, type State } from './machine'

/** Sentences the kiosk can show; locales.ts has the words. */
export type Sentence = 'connecting' | 'restoring' | 'cannotPlay' | 'noChannels' | 'denied' | 'offline'

/** A choice of the viewer: of the quality, or of the sound (null: there is only one). */
export type Choice =
  | { readonly of: 'quality'; readonly quality: Quality }
  | { readonly of: 'sound'; readonly sound: Sound | null }

/** Everything that lies over the video at one moment. */
export interface Screen {
  /** The kept last picture covers the video. */
  readonly frozen: boolean
  /** Logo, clock and a sentence instead of any picture. */
  readonly slate: { readonly sentence: Sentence; readonly detail: string } | null
  /** A small line over the last picture. */
  readonly notice: Sentence | null
  /** "Press any key for sound." */
  readonly silenced: boolean
  readonly label: Channel | null
  readonly digits: string
  /** A number that has no channel. */
  readonly missed: string
  readonly volume: number | null
  /** What was just chosen. */
  readonly choice: Choice | null
  readonly list: {
    readonly channels: readonly Channel[]
    readonly cursor: number
    readonly quality: Quality
    /** What is heard, when there is a choice. */
    readonly sound: Sound | null
  } | null
  readonly offline: boolean
}

/** What should be seen now. There is always a picture or a slate: the screen is never black. */
export function screen(state: State, now: number): Screen {
  const channel = current(state)
  const playing = state.phase === 'playing'
  const slate = slateOf(state, channel, now)
  return {
    frozen: !playing && slate === null,
    slate,
    notice: !playing && slate === null && now - state.lostAt >= limits.patience ? 'restoring' : null,
    silenced: playing && state.silenced,
    label: now < state.labelUntil ? (channel ?? null) : null,
    digits: state.digits,
    missed: now < state.missedUntil ? state.missed : '',
    volume: now < state.volumeUntil ? state.volume : null,
    choice: now < state.choiceUntil ? choiceOf(state) : null,
    list:
      state.cursor === null
        ? null
        : { channels: state.channels, cursor: state.cursor, quality: state.quality, sound: soundOf(state) },
    offline: !state.online,
  }
}

function soundOf(state: State): Sound | null {
  return state.sounds.length < 2 ? null : (state.sounds[state.heard] ?? null)
}

function choiceOf(state: State): Choice | null {
  switch (state.choice) {
    case 'quality':
      return { of: 'quality', quality: state.quality }
    case 'sound':
      return { of: 'sound', sound: soundOf(state) }
    case null:
      return null
  }
}

function slateOf(state: State, channel: Channel | undefined, now: number): Screen['slate'] {
  if (state.phase === 'playing') return null
  if (state.phase === 'refused') return { sentence: 'cannotPlay', detail: channel?.reason ?? '' }
  const lost = now - state.lostAt
  if (state.picture && lost < limits.slate) return null
  const detail = channel !== undefined && !channel.live ? channel.reason : state.why
  if (state.denied) return { sentence: 'denied', detail: '' }
  if (!state.online) return { sentence: 'offline', detail: '' }
  if (state.stream === '' && lost >= limits.patience) return { sentence: 'noChannels', detail: '' }
  return { sentence: state.picture || lost >= limits.slate ? 'restoring' : 'connecting', detail }
}
