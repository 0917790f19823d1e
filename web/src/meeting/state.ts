/** The meeting as this page knows it. Pure: each message of the server makes a new state (docs/protocol.md section 5). */
import type {
  AudioSlot,
  EventBody,
  EventMessage,
  Media,
  MeetingState,
  Participant,
  Rid,
  ServerMessage,
  VideoSlot,
} from '../signal/protocol'

const chatKept = 100

export interface Room extends MeetingState {
  you: string
  seq: number
  meeting: { id: string; title: string }
  media: Media
  video: VideoSlot[]
  audio: AudioSlot[]
  /** Who speaks loudest now, or ''. */
  speaker: string
  /** Layers of one's own camera that somebody wants; null until the server says. */
  layers: Rid[] | null
}

/** The state after `message`. Without a room only `welcome` makes one. */
export function reduce(room: Room | null, message: ServerMessage): Room | null {
  if (message.type === 'welcome') {
    const { you, seq, meeting, media, state } = message
    // Slots stay until the server sends them anew: media goes on when only the WebSocket was cut.
    const same = room !== null && room.you === you && message.resumed
    return {
      ...state,
      you,
      seq,
      meeting,
      media,
      video: same ? room.video : [],
      audio: same ? room.audio : [],
      speaker: same ? room.speaker : '',
      layers: same ? room.layers : null,
    }
  }
  if (!room) return null
  switch (message.type) {
    case 'event':
      return { ...applyEvent(room, message), seq: message.seq }
    case 'slots':
      return { ...room, video: message.video, audio: message.audio }
    case 'speaker':
      return { ...room, speaker: message.participant }
    case 'layers':
      return { ...room, layers: message.active }
    case 'media':
      return { ...room, media: message.media }
    default:
      return room
  }
}

function change(room: Room, id: string, to: (participant: Participant) => Participant): Room {
  return { ...room, participants: room.participants.map((p) => (p.id === id ? to(p) : p)) }
}

function withoutHand(participant: Participant): Participant {
  const lowered = { ...participant, hand: false }
  delete lowered.hand_at
  return lowered
}

function applyEvent(room: Room, { event, at, seq }: EventMessage): Room {
  switch (event.kind) {
    case 'joined':
      return {
        ...room,
        participants: [...room.participants.filter((p) => p.id !== event.participant.id), event.participant],
      }
    case 'left':
      return {
        ...room,
        participants: room.participants.filter((p) => p.id !== event.participant),
        hands: room.hands.filter((id) => id !== event.participant),
        screen: room.screen === event.participant ? '' : room.screen,
        speaker: room.speaker === event.participant ? '' : room.speaker,
      }
    case 'disconnected':
      return change(room, event.participant, (p) => ({ ...p, connected: false }))
    case 'resumed':
      return change(room, event.participant, (p) => ({ ...p, connected: true }))
    case 'muted':
      return change(room, event.participant, (p) => ({
        ...p,
        muted: event.muted,
        muted_by_chair: event.muted_by_chair,
      }))
    case 'unmute_requested':
      return change(room, event.participant, (p) => ({ ...p, muted_by_chair: false }))
    case 'muted_all':
      return mutedAll(room, event)
    case 'camera':
      return change(room, event.participant, (p) => ({ ...p, camera: event.on }))
    case 'publishing':
      return change(room, event.participant, (p) => ({ ...p, publishing: event.on }))
    case 'screen': {
      const next = change(room, event.participant, (p) => ({ ...p, screen: event.on }))
      if (event.on) return { ...next, screen: event.participant }
      return room.screen === event.participant ? { ...next, screen: '' } : next
    }
    case 'hand': {
      const others = room.hands.filter((id) => id !== event.participant)
      if (!event.raised) return { ...change(room, event.participant, withoutHand), hands: others }
      return {
        ...change(room, event.participant, (p) => ({ ...p, hand: true, hand_at: at })),
        hands: [...others, event.participant],
      }
    }
    case 'chat': {
      const { from, name, text } = event
      return { ...room, chat: [...room.chat, { seq, at, from, name, text }].slice(-chatKept) }
    }
    case 'role':
      return changeRole(room, event)
    case 'restarted':
      return {
        ...room,
        participants: room.participants
          .filter((p) => !p.encoder)
          .map((p) => ({ ...p, connected: false, publishing: false })),
      }
    case 'ended':
    case 'unknown':
      return room
  }
}

function mutedAll(room: Room, event: Extract<EventBody, { kind: 'muted_all' }>): Room {
  return {
    ...room,
    mute_all: event.muted,
    self_unmute: event.self_unmute,
    participants: room.participants.map((p) => {
      if (!event.muted) return { ...p, muted_by_chair: false }
      if (p.role === 'chair') return p
      return { ...p, muted: true, muted_by_chair: !event.self_unmute }
    }),
  }
}

function changeRole(room: Room, event: Extract<EventBody, { kind: 'role' }>): Room {
  const next = change(room, event.participant, (p) => {
    if (event.role === 'viewer') {
      return withoutHand({ ...p, role: 'viewer', muted: true, camera: false, screen: false })
    }
    return { ...p, role: event.role, ...(event.role === 'chair' ? { muted_by_chair: false } : {}) }
  })
  if (event.role !== 'viewer') return next
  return {
    ...next,
    hands: next.hands.filter((id) => id !== event.participant),
    screen: next.screen === event.participant ? '' : next.screen,
  }
}

/** The participant with this id. */
export function find(room: Room, id: string): Participant | undefined {
  return room.participants.find((p) => p.id === id)
}
