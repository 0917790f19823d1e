/**
 * The meeting protocol, version 1, as docs/protocol.md says: types, and the reading of what the server sends.
 * Pure: no DOM, no sockets.
 */

export const protocolVersion = 1
export const subprotocol = 'tongxiang.v1'

export type MeetingRole = 'chair' | 'member' | 'viewer'
export type Label = 'video' | 'screen'
export type Layer = 0 | 1 | 2
export type Rid = 'q' | 'h' | 'f'

export interface Participant {
  id: string
  name: string
  role: MeetingRole
  connected: boolean
  /** A camera or an OBS that publishes by WHIP without a page. */
  encoder: boolean
  publishing: boolean
  muted: boolean
  muted_by_chair: boolean
  camera: boolean
  screen: boolean
  hand: boolean
  hand_at?: string
  joined_at: string
}

export interface ChatMessage {
  seq: number
  at: string
  from: string
  name: string
  text: string
}

export interface MeetingState {
  participants: Participant[]
  /** Ids with the hand raised, first come first. */
  hands: string[]
  /** Id of who shares the screen, or ''. */
  screen: string
  mute_all: boolean
  self_unmute: boolean
  chat: ChatMessage[]
}

export interface Media {
  /** '' for those who may not publish. */
  whip: string
  whep: string
  token: string
  expires: string
  video_slots: number
  audio_slots: number
}

export interface VideoSlot {
  slot: number
  mid: string
  participant: string
  label: Label | ''
  live: boolean
  layer: number
}

export interface AudioSlot {
  slot: number
  mid: string
  participant: string
}

export interface Welcome {
  type: 'welcome'
  v: number
  you: string
  resumed: boolean
  resume: string
  seq: number
  meeting: { id: string; title: string }
  state: MeetingState
  media: Media
}

export type EventBody =
  | { kind: 'joined'; participant: Participant }
  | { kind: 'left'; participant: string; reason: string }
  | { kind: 'disconnected' | 'resumed'; participant: string }
  | { kind: 'muted'; participant: string; muted: boolean; muted_by_chair: boolean; by: string }
  | { kind: 'unmute_requested'; participant: string; by: string }
  | { kind: 'muted_all'; muted: boolean; self_unmute: boolean; by: string }
  | { kind: 'camera' | 'publishing'; participant: string; on: boolean }
  | { kind: 'screen'; participant: string; on: boolean; by: string }
  | { kind: 'hand'; participant: string; raised: boolean; by: string }
  | { kind: 'chat'; from: string; name: string; text: string }
  | { kind: 'role'; participant: string; role: MeetingRole; by: string }
  | { kind: 'ended'; by: string }
  | { kind: 'restarted' }
  /** A kind of a newer server: it counts in seq and changes nothing. */
  | { kind: 'unknown' }

export interface EventMessage {
  type: 'event'
  seq: number
  at: string
  event: EventBody
}

export interface SlotsMessage {
  type: 'slots'
  video: VideoSlot[]
  audio: AudioSlot[]
}

export interface ErrorMessage {
  type: 'error'
  id?: string
  code: string
  message: string
  need?: string
}

export interface ByeMessage {
  type: 'bye'
  code: string
  message: string
}

export type ServerMessage =
  | Welcome
  | { type: 'ok'; id: string }
  | ErrorMessage
  | { type: 'ping'; t: number }
  | SlotsMessage
  | { type: 'speaker'; participant: string }
  | { type: 'layers'; active: Rid[] }
  | { type: 'media'; media: Media }
  | ByeMessage
  | EventMessage
  | { type: 'unknown' }

export interface ViewSlot {
  slot: number
  /** 'auto' or a participant. */
  want: string
  label?: Label
  /** Device pixels; 0: not visible. */
  height: number
}

export interface Hello {
  type: 'hello'
  v: number
  resume?: string
  lang?: string
  muted?: boolean
  camera?: boolean
  name?: string
}

/** What a page may ask for; the session adds `id`. */
export type Command =
  | { type: 'mute'; muted: boolean; participant?: string }
  | { type: 'mute_all'; muted: boolean; self_unmute?: boolean }
  | { type: 'camera'; on: boolean }
  | { type: 'screen'; on: boolean; participant?: string }
  | { type: 'hand'; raised: boolean; participant?: string }
  | { type: 'chat'; text: string }
  | { type: 'view'; slots: ViewSlot[] }
  | { type: 'role'; participant: string; role: MeetingRole }
  | { type: 'media' }
  | { type: 'leave' }
  | { type: 'end' }

export type ClientMessage = Hello | { type: 'pong'; t: number } | (Command & { id?: string })

/** A `bye` after which the page does not come back by itself; docs/protocol.md section 6. */
export const finalByes: ReadonlySet<string> = new Set([
  'left',
  'meeting_ended',
  'replaced',
  'unsupported_version',
  'meeting_full',
])

/** What the server sent is not a message of this protocol. */
export class DecodeError extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'DecodeError'
  }
}

type Fields = Record<string, unknown>

function object(value: unknown, where: string): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new DecodeError(`${where} is not an object`)
  }
  return value as Fields
}
function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw new DecodeError(`${name} is not a string`)
  return value
}
function optionalText(fields: Fields, name: string): string {
  return fields[name] === undefined ? '' : text(fields, name)
}
function number(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new DecodeError(`${name} is not a number`)
  return value
}
/** Absent counts as false: servers leave out what is not so. */
function flag(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw new DecodeError(`${name} is not true or false`)
  return value
}
/** Absent and null count as empty: Go writes an empty list as null. */
function list<T>(fields: Fields, name: string, read: (item: unknown) => T): T[] {
  const value = fields[name]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new DecodeError(`${name} is not a list`)
  return value.map(read)
}
function itemText(item: unknown): string {
  if (typeof item !== 'string') throw new DecodeError('list item is not a string')
  return item
}

function role(fields: Fields): MeetingRole {
  const value = text(fields, 'role')
  // A role of a newer server is treated as the one with the fewest rights.
  return value === 'chair' || value === 'member' ? value : 'viewer'
}

function participant(value: unknown): Participant {
  const f = object(value, 'participant')
  const hand = flag(f, 'hand')
  return {
    id: text(f, 'id'),
    name: text(f, 'name'),
    role: role(f),
    connected: flag(f, 'connected'),
    encoder: flag(f, 'encoder'),
    publishing: flag(f, 'publishing'),
    muted: flag(f, 'muted'),
    muted_by_chair: flag(f, 'muted_by_chair'),
    camera: flag(f, 'camera'),
    screen: flag(f, 'screen'),
    hand,
    ...(typeof f['hand_at'] === 'string' ? { hand_at: f['hand_at'] } : {}),
    joined_at: optionalText(f, 'joined_at'),
  }
}

function chatMessage(value: unknown): ChatMessage {
  const f = object(value, 'chat message')
  return {
    seq: number(f, 'seq'),
    at: text(f, 'at'),
    from: text(f, 'from'),
    name: text(f, 'name'),
    text: text(f, 'text'),
  }
}

function state(value: unknown): MeetingState {
  const f = object(value, 'state')
  return {
    participants: list(f, 'participants', participant),
    hands: list(f, 'hands', itemText),
    screen: optionalText(f, 'screen'),
    mute_all: flag(f, 'mute_all'),
    self_unmute: flag(f, 'self_unmute'),
    chat: list(f, 'chat', chatMessage),
  }
}

function media(value: unknown): Media {
  const f = object(value, 'media')
  return {
    whip: optionalText(f, 'whip'),
    whep: optionalText(f, 'whep'),
    token: optionalText(f, 'token'),
    expires: optionalText(f, 'expires'),
    video_slots: number(f, 'video_slots'),
    audio_slots: number(f, 'audio_slots'),
  }
}

function videoSlot(value: unknown): VideoSlot {
  const f = object(value, 'video slot')
  const label = optionalText(f, 'label')
  return {
    slot: number(f, 'slot'),
    mid: text(f, 'mid'),
    participant: optionalText(f, 'participant'),
    label: label === 'video' || label === 'screen' ? label : '',
    live: flag(f, 'live'),
    layer: f['layer'] === undefined ? 0 : number(f, 'layer'),
  }
}

function audioSlot(value: unknown): AudioSlot {
  const f = object(value, 'audio slot')
  return { slot: number(f, 'slot'), mid: text(f, 'mid'), participant: optionalText(f, 'participant') }
}

function eventBody(value: unknown): EventBody {
  const f = object(value, 'event')
  const kind = text(f, 'kind')
  switch (kind) {
    case 'joined':
      return { kind, participant: participant(f['participant']) }
    case 'left':
      return { kind, participant: text(f, 'participant'), reason: optionalText(f, 'reason') }
    case 'disconnected':
    case 'resumed':
      return { kind, participant: text(f, 'participant') }
    case 'muted':
      return {
        kind,
        participant: text(f, 'participant'),
        muted: flag(f, 'muted'),
        muted_by_chair: flag(f, 'muted_by_chair'),
        by: optionalText(f, 'by'),
      }
    case 'unmute_requested':
      return { kind, participant: text(f, 'participant'), by: optionalText(f, 'by') }
    case 'muted_all':
      return { kind, muted: flag(f, 'muted'), self_unmute: flag(f, 'self_unmute'), by: optionalText(f, 'by') }
    case 'camera':
    case 'publishing':
      return { kind, participant: text(f, 'participant'), on: flag(f, 'on') }
    case 'screen':
      return { kind, participant: text(f, 'participant'), on: flag(f, 'on'), by: optionalText(f, 'by') }
    case 'hand':
      return {
        kind,
        participant: text(f, 'participant'),
        raised: flag(f, 'raised'),
        by: optionalText(f, 'by'),
      }
    case 'chat':
      return { kind, from: text(f, 'from'), name: text(f, 'name'), text: text(f, 'text') }
    case 'role':
      return { kind, participant: text(f, 'participant'), role: role(f), by: optionalText(f, 'by') }
    case 'ended':
      return { kind, by: optionalText(f, 'by') }
    case 'restarted':
      return { kind }
    default:
      return { kind: 'unknown' }
  }
}

/** Reads one text frame of the server. Throws DecodeError; a type that this page does not know is 'unknown'. */
export function decode(frame: string): ServerMessage {
  let value: unknown
  try {
    value = JSON.parse(frame)
  } catch {
    throw new DecodeError('not JSON')
  }
  const f = object(value, 'message')
  const type = text(f, 'type')
  switch (type) {
    case 'welcome': {
      const meeting = object(f['meeting'], 'meeting')
      return {
        type,
        v: number(f, 'v'),
        you: text(f, 'you'),
        resumed: flag(f, 'resumed'),
        resume: optionalText(f, 'resume'),
        seq: number(f, 'seq'),
        meeting: { id: text(meeting, 'id'), title: text(meeting, 'title') },
        state: state(f['state']),
        media: media(f['media']),
      }
    }
    case 'ok':
      return { type, id: text(f, 'id') }
    case 'error':
      return {
        type,
        ...(typeof f['id'] === 'string' ? { id: f['id'] } : {}),
        code: text(f, 'code'),
        message: optionalText(f, 'message'),
        ...(typeof f['need'] === 'string' ? { need: f['need'] } : {}),
      }
    case 'ping':
      return { type, t: number(f, 't') }
    case 'slots':
      return { type, video: list(f, 'video', videoSlot), audio: list(f, 'audio', audioSlot) }
    case 'speaker':
      return { type, participant: optionalText(f, 'participant') }
    case 'layers':
      return {
        type,
        active: list(f, 'active', itemText).filter(
          (rid): rid is Rid => rid === 'q' || rid === 'h' || rid === 'f',
        ),
      }
    case 'media':
      return { type, media: media(f['media']) }
    case 'bye':
      return { type, code: text(f, 'code'), message: optionalText(f, 'message') }
    case 'event':
      return { type, seq: number(f, 'seq'), at: text(f, 'at'), event: eventBody(f['event']) }
    default:
      return { type: 'unknown' }
  }
}
