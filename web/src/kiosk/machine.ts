import { retryDelay } from './backoff'
import { type Channel, neighbour } from './channel'
import type { Command } from './keys'
import { nextQuality, type Quality } from './quality'
import { remembered, type Sound } from './sound'

// The kiosk as a pure state machine. Events go in with the time, a new state and a few
// actions come out; main.ts performs the actions and draws screen(state, now).
//
//              open                 playing
//    idle ───────────▶ opening ───────────────▶ playing
//                      ▲     │ failed, 15 s        │ failed, picture stands 4 s
//              retryAt │     ▼                     ▼
//                      └── waiting ◀───────────────┘      refused: the list says why, nothing is tried

/** Milliseconds. */
export const limits = {
  /** From opening to the first picture; a transcoder may have to start in between. */
  open: 15_000,
  /** A picture or clock that stands still for this long is a dead player. */
  stall: 4_000,
  /** The last picture gives way to the slate after this. */
  slate: 30_000,
  /** So much steady playing makes the next fault start again at a one second wait. */
  steady: 20_000,
  label: 3_000,
  digits: 1_500,
  list: 20_000,
  volume: 2_000,
  choice: 3_000,
  /** A change of channel shorter than this needs no "restoring" notice. */
  patience: 2_500,
} as const

export type Phase = 'idle' | 'opening' | 'playing' | 'waiting' | 'refused'

export interface State {
  readonly channels: readonly Channel[]
  /** The stream that should play; empty until one is known. */
  readonly stream: string
  readonly phase: Phase
  /** Counts players; what an earlier player still reports is ignored. */
  readonly session: number
  readonly openedAt: number
  readonly playingSince: number
  /** When the picture stopped, or when the page began without one. */
  readonly lostAt: number
  /** A last picture exists. */
  readonly picture: boolean
  readonly attempt: number
  readonly retryAt: number
  readonly position: number
  readonly movedAt: number
  readonly frames: number
  readonly framesAt: number
  readonly volume: number
  readonly volumeUntil: number
  /** The browser refused sound until somebody presses a key. */
  readonly silenced: boolean
  readonly labelUntil: number
  readonly digits: string
  readonly digitsUntil: number
  /** The number that was dialled last and has no channel; shown for a while. */
  readonly missed: string
  readonly missedUntil: number
  readonly quality: Quality
  /** The sounds of what plays, when there is a choice; else empty. */
  readonly sounds: readonly Sound[]
  readonly heard: number
  /** The key of the sound that was chosen last, on any channel. */
  readonly soundKey: string
  /** What the viewer has just chosen is shown for a while. */
  readonly choice: 'quality' | 'sound' | null
  readonly choiceUntil: number
  /** Index of the focused row, or null when the list is closed. */
  readonly cursor: number | null
  readonly listUntil: number
  readonly online: boolean
  /** The server answered, and does not know this device. */
  readonly denied: boolean
  /** Why the last player failed, in the server's words; empty while one plays. */
  readonly why: string
}

export type Event =
  | { kind: 'start'; stream: string }
  | { kind: 'channels'; channels: readonly Channel[] }
  | { kind: 'heartbeat'; online: boolean; denied: boolean }
  | { kind: 'command'; command: Command }
  | { kind: 'tune'; stream: string }
  /** The player cannot do by itself what was asked of it: make a new one. */
  | { kind: 'reopen' }
  | { kind: 'playing' | 'silenced'; session: number }
  /** why: the server's sentence; empty when it gave none. */
  | { kind: 'failed'; session: number; why: string }
  | { kind: 'sounds'; session: number; sounds: readonly Sound[]; heard: number }
  /** position in seconds; frames decoded since the player began, null when there is nothing to count. */
  | { kind: 'tick'; position: number; frames: number | null }

export type Action =
  | { do: 'open'; stream: string; session: number }
  /** Keep the last picture if there is one, then destroy the player. */
  | { do: 'close' }
  | { do: 'volume'; volume: number }
  | { do: 'unmute' }
  | { do: 'quality'; quality: Quality }
  /** Have the player change its sound, and remember the choice. */
  | { do: 'hear'; index: number; key: string }
  | { do: 'remember'; stream: string }

export interface Step {
  readonly state: State
  readonly actions: readonly Action[]
}

/** The state before anything is known. */
export function initial(
  now: number,
  volume: number,
  chosen: { quality: Quality; soundKey: string } = { quality: 'auto', soundKey: '' },
): State {
  return {
    channels: [],
    stream: '',
    phase: 'idle',
    session: 0,
    openedAt: 0,
    playingSince: 0,
    lostAt: now,
    picture: false,
    attempt: 0,
    retryAt: 0,
    position: 0,
    movedAt: 0,
    frames: 0,
    framesAt: 0,
    volume,
    volumeUntil: 0,
    silenced: false,
    labelUntil: 0,
    digits: '',
    digitsUntil: 0,
    missed: '',
    missedUntil: 0,
    quality: chosen.quality,
    sounds: [],
    heard: 0,
    soundKey: chosen.soundKey,
    choice: null,
    choiceUntil: 0,
    cursor: null,
    listUntil: 0,
    online: true,
    denied: false,
    why: '',
  }
}

/**
 * Applies one event.
 *
 * @param now milliseconds on any steady clock
 * @param random a number in [0, 1), for the spread of retries
 */
export function step(state: State, event: Event, now: number, random: number): Step {
  switch (event.kind) {
    case 'start':
      return event.stream === '' ? stay(state) : open({ ...state, stream: event.stream }, now)
    case 'channels':
      return listed(state, event.channels, now, random)
    case 'heartbeat':
      return heartbeat(state, event.online, event.denied, now, random)
    case 'command':
      return commanded(state, event.command, now)
    case 'tune':
      return tune({ ...state, cursor: null }, event.stream, now)
    case 'reopen':
      return state.phase === 'playing' || state.phase === 'opening' ? open(state, now) : stay(state)
    case 'tick':
      return tick(state, event.position, event.frames, now, random)
    case 'playing':
      return event.session === state.session && state.phase === 'opening' ? playing(state, now) : stay(state)
    case 'failed':
      return event.session === state.session ? fail({ ...state, why: event.why }, now, random) : stay(state)
    case 'sounds':
      return event.session === state.session ? sounds(state, event.sounds, event.heard) : stay(state)
    case 'silenced':
      return event.session === state.session ? stay({ ...state, silenced: true }) : stay(state)
  }
}

function stay(state: State): Step {
  return { state, actions: [] }
}

function open(state: State, now: number): Step {
  const session = state.session + 1
  return {
    state: {
      ...state,
      phase: 'opening',
      session,
      sounds: [],
      heard: 0,
      openedAt: now,
      lostAt: state.phase === 'playing' ? now : state.lostAt,
    },
    actions: [{ do: 'close' }, { do: 'open', stream: state.stream, session }],
  }
}

function playing(state: State, now: number): Step {
  return stay({
    ...state,
    phase: 'playing',
    why: '',
    picture: true,
    playingSince: now,
    movedAt: now,
    framesAt: now,
    position: 0,
    frames: 0,
  })
}

function fail(state: State, now: number, random: number): Step {
  if (state.phase !== 'opening' && state.phase !== 'playing') return stay(state)
  const steady = state.phase === 'playing' && now - state.playingSince >= limits.steady
  const attempt = steady ? 0 : state.attempt
  return {
    state: {
      ...state,
      phase: 'waiting',
      lostAt: state.phase === 'playing' ? now : state.lostAt,
      attempt: attempt + 1,
      retryAt: now + retryDelay(attempt, random),
    },
    actions: [{ do: 'close' }],
  }
}

function refuse(state: State, now: number): Step {
  if (state.phase === 'refused') return stay(state)
  return { state: { ...state, phase: 'refused', lostAt: now }, actions: [{ do: 'close' }] }
}

function listed(state: State, channels: readonly Channel[], now: number, random: number): Step {
  const was = current(state)
  // A server that has just started may know no channel yet: nobody's picture is taken away for that.
  const next: State =
    channels.length === 0 ? state : { ...state, channels, cursor: clamp(state.cursor, channels.length) }
  const chosen = current(next)
  if (chosen === undefined) {
    const first = next.channels.find((c) => c.live && c.playable) ?? next.channels[0]
    return first === undefined ? stay(next) : tune(next, first.stream, now)
  }
  if (!chosen.playable) return refuse(next, now)
  if (next.phase === 'refused') return open({ ...next, attempt: 0 }, now)
  const returned = chosen.live && was !== undefined && !was.live
  return stay(returned ? hurry(next, now, random) : next)
}

/** The reason to wait is gone: try within a second instead of at the end of the back-off. */
function hurry(state: State, now: number, random: number): State {
  if (state.phase !== 'waiting') return state
  return { ...state, attempt: 0, retryAt: Math.min(state.retryAt, now + Math.round(1000 * random)) }
}

function heartbeat(state: State, online: boolean, denied: boolean, now: number, random: number): Step {
  const back = online && !state.online
  const next = { ...state, online, denied }
  return stay(back ? hurry(next, now, random) : next)
}

function tune(state: State, stream: string, now: number): Step {
  const labelled = { ...state, labelUntil: now + limits.label }
  if (stream === state.stream && state.phase !== 'idle') return stay(labelled)
  const next = { ...labelled, stream, attempt: 0, why: '' }
  const remember: Action = { do: 'remember', stream }
  const { state: after, actions } =
    current(next)?.playable === false ? refuse(next, now) : open({ ...next, lostAt: now }, now)
  return { state: after, actions: [...actions, remember] }
}

function tick(state: State, position: number, frames: number | null, now: number, random: number): Step {
  if (state.digits !== '' && now >= state.digitsUntil) return dial(state, now)
  if (state.cursor !== null && now >= state.listUntil) return stay({ ...state, cursor: null })
  switch (state.phase) {
    case 'opening':
      return now - state.openedAt >= limits.open ? fail(state, now, random) : stay(state)
    case 'waiting':
      return now >= state.retryAt ? open(state, now) : stay(state)
    case 'playing': {
      const moved = position !== state.position
      const decoded = frames === null || frames !== state.frames
      const next: State = {
        ...state,
        position,
        frames: frames ?? 0,
        movedAt: moved ? now : state.movedAt,
        framesAt: decoded ? now : state.framesAt,
        attempt: now - state.playingSince >= limits.steady ? 0 : state.attempt,
      }
      const stalled = now - next.movedAt >= limits.stall || now - next.framesAt >= limits.stall
      return stalled ? fail(next, now, random) : stay(next)
    }
    default:
      return stay(state)
  }
}

/** The viewer has stopped typing: go to that number. An unknown number changes nothing, and is said. */
function dial(state: State, now: number): Step {
  const wanted = state.channels.find((c) => c.number === Number(state.digits))
  const next = { ...state, digits: '' }
  return wanted === undefined
    ? stay({ ...next, missed: state.digits, missedUntil: now + limits.label })
    : tune({ ...next, missedUntil: 0 }, wanted.stream, now)
}

function commanded(state: State, command: Command, now: number): Step {
  const { state: after, actions } = obey({ ...state, silenced: false }, command, now)
  return { state: after, actions: state.silenced ? [...actions, { do: 'unmute' }] : actions }
}

function obey(state: State, command: Command, now: number): Step {
  switch (command.kind) {
    case 'digit':
      // Four digits are more channels than any multiplex has; a fifth starts afresh.
      return stay({
        ...state,
        digits: (state.digits.length >= 4 ? '' : state.digits) + String(command.digit),
        digitsUntil: now + limits.digits,
      })
    case 'up':
      return state.cursor === null ? zap(state, 1, now) : move(state, -1, now)
    case 'down':
      return state.cursor === null ? zap(state, -1, now) : move(state, 1, now)
    case 'channelUp':
      return zap(state, 1, now)
    case 'channelDown':
      return zap(state, -1, now)
    case 'louder':
      return turn(state, 5, now)
    case 'quieter':
      return turn(state, -5, now)
    case 'ok':
      return accept(state, now)
    case 'quality':
      return rate(state, now)
    case 'sound':
      return listen(state, now)
    case 'back':
      return stay({ ...state, cursor: null, digits: '', labelUntil: 0, choiceUntil: 0 })
    case 'any':
      return stay(state)
  }
}

function zap(state: State, by: 1 | -1, now: number): Step {
  const to = neighbour(state.channels, state.stream, by)
  return to === undefined ? stay(state) : tune({ ...state, cursor: null, digits: '' }, to.stream, now)
}

function move(state: State, by: number, now: number): Step {
  const count = state.channels.length
  if (state.cursor === null || count === 0) return stay(state)
  return stay({ ...state, cursor: (state.cursor + by + count) % count, listUntil: now + limits.list })
}

function turn(state: State, by: number, now: number): Step {
  const volume = Math.max(0, Math.min(100, state.volume + by))
  return {
    state: { ...state, volume, volumeUntil: now + limits.volume },
    actions: [{ do: 'volume', volume }],
  }
}

/** The next quality: a new player, because another stream may be wanted for it. */
function rate(state: State, now: number): Step {
  const quality = nextQuality(state.quality)
  const next: State = { ...state, quality, choice: 'quality', choiceUntil: now + limits.choice, attempt: 0 }
  const remember: Action = { do: 'quality', quality }
  const tuned = next.stream !== '' && next.phase !== 'refused' && next.phase !== 'idle'
  const { state: after, actions } = tuned ? open(next, now) : stay(next)
  return { state: after, actions: [remember, ...actions] }
}

/** The next sound of this stream, round the end. */
function listen(state: State, now: number): Step {
  const shown: State = { ...state, choice: 'sound', choiceUntil: now + limits.choice }
  const heard = (state.heard + 1) % Math.max(1, state.sounds.length)
  const sound = state.sounds[heard]
  if (sound === undefined || state.sounds.length < 2) return stay(shown)
  return {
    state: { ...shown, heard, soundKey: sound.key },
    actions: [{ do: 'hear', index: heard, key: sound.key }],
  }
}

/** The player knows its sounds: the one that was chosen last is heard if it is among them. */
function sounds(state: State, list: readonly Sound[], heard: number): Step {
  const wanted = remembered(list, state.soundKey)
  const next = { ...state, sounds: list, heard: wanted < 0 ? heard : wanted }
  return wanted < 0 || wanted === heard
    ? stay(next)
    : { state: next, actions: [{ do: 'hear', index: wanted, key: state.soundKey }] }
}

function accept(state: State, now: number): Step {
  if (state.digits !== '') return dial(state, now)
  if (state.cursor === null) {
    const at = state.channels.findIndex((c) => c.stream === state.stream)
    return stay({ ...state, cursor: Math.max(0, at), listUntil: now + limits.list })
  }
  const chosen = state.channels[state.cursor]
  const closed = { ...state, cursor: null }
  return chosen === undefined ? stay(closed) : tune(closed, chosen.stream, now)
}

function clamp(cursor: number | null, count: number): number | null {
  return cursor === null ? null : Math.min(cursor, count - 1)
}

/** The channel that should play, once the list is known. */
export function current(state: State): Channel | undefined {
  return state.channels.find((c) => c.stream === state.stream)
}
