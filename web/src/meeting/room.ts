/**
 * The running meeting of this page: the WebSocket session and what hangs on it, each in a file of its own: media
 * connections, devices, slots, notices. What they decide with is pure and tested elsewhere (state, layout, encodings,
 * session, connection).
 */
import { computed, onScopeDispose, ref, shallowRef } from 'vue'
import { api, ApiError } from '../shared/api'
import { storedLanguage } from '../shared/i18n'
import { loginAddress } from '../shared/next'
import type { Command, ServerMessage, Welcome } from '../signal/protocol'
import { Session, type Refusal, type SessionState } from '../signal/session'
import { useCapture } from './capture'
import { commandsOf } from './commands'
import { useConnections } from './connections'
import type { Choices } from './devices'
import { useNotices } from './notices'
import { useSlots } from './slots'
import { find, reduce, type Room } from './state'
import { useToasts, type Translate } from './toasts'

export interface RoomOptions {
  meetingId: string
  choices: Choices
  mic: MediaStreamTrack | null
  camera: MediaStreamTrack | null
  /** A small device offers fewer slots than the server has. */
  maxVideoSlots: number
  t: Translate
}

export function useRoom(options: RoomOptions) {
  const { t } = options
  const room = shallowRef<Room | null>(null)
  const connection = ref<SessionState>('connecting')
  const ended = ref<Refusal | null>(null)
  const me = computed(() => (room.value ? find(room.value, room.value.you) : undefined))

  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const session = new Session({
    url: `${scheme}://${location.host}/ws/meetings/${encodeURIComponent(options.meetingId)}`,
    hello: () => ({
      lang: storedLanguage(),
      muted: capture.local.muted,
      camera: capture.camera.value !== null,
    }),
    mayRetry: () => whyRefused(options.meetingId),
    onState: (state) => (connection.value = state),
    onWelcome: welcomed,
    onMessage: received,
    onEnd: finish,
  })
  const toasts = useToasts(t)
  const { toast, complain } = toasts
  const commands = commandsOf(session, complain)
  const connections = useConnections({
    media: () => room.value?.media,
    maxVideoSlots: options.maxVideoSlots,
    onRefused: mediaRefused,
  })
  const capture = useCapture({ ...options, publish: connections.publish, commands, toasts })
  const slots = useSlots(connection, commands.send)
  const notices = useNotices({ me, capture, toasts, t })

  function welcomed(message: Welcome): void {
    const before = room.value
    const now = reduce(before, message)
    room.value = now
    const sameSeat = before !== null && message.resumed && before.you === message.you
    if (before !== null) toast(t('net.back'))
    slots.again()
    connections.follow(message.media, sameSeat)
    if (now) capture.settle(now)
  }

  function received(message: Exclude<ServerMessage, Welcome>): void {
    const before = room.value
    room.value = reduce(before, message)
    switch (message.type) {
      case 'layers':
        connections.setLayers(message.active)
        break
      case 'media':
        connections.follow(message.media, true)
        break
      case 'event':
        if (before) notices.notice(before, message)
        break
      case 'error':
        toast(message.message || message.code, 'error')
    }
  }

  let refusedWith = ''
  function mediaRefused(status: number, code: string, message: string): void {
    if (status === 401 && connection.value === 'open') commands.tell({ type: 'media' })
    const reason = message || code || `HTTP ${status}`
    if (refusedWith === reason) return // said once; the connection goes on trying
    refusedWith = reason
    toast(t('net.refused', { message: reason }), 'error')
  }

  // --- hand, chat, and the chair's commands

  const setHand = (raised: boolean) => commands.run('hand', () => commands.send({ type: 'hand', raised }))

  /** True when the message was delivered. */
  async function chat(text: string): Promise<boolean> {
    try {
      await commands.send({ type: 'chat', text })
      return true
    } catch (error) {
      complain(error)
      return false
    }
  }

  /** A chair's command about others. */
  const direct = (command: Command) => commands.run(JSON.stringify(command), () => commands.send(command))

  // --- the network comes back, the page goes away

  const nudge = () => {
    if (connection.value === 'waiting') session.connect()
    connections.nudge()
  }
  const seen = () => {
    if (document.visibilityState === 'visible') nudge()
  }
  const leave = () => session.leave()
  window.addEventListener('online', nudge)
  document.addEventListener('visibilitychange', seen)
  // A closed page leaves; a reloaded one takes a seat anew.
  window.addEventListener('pagehide', leave)

  function finish(bye: Refusal): void {
    ended.value = bye
    window.removeEventListener('online', nudge)
    document.removeEventListener('visibilitychange', seen)
    window.removeEventListener('pagehide', leave)
    slots.close()
    connections.close()
    capture.close()
  }

  session.connect()
  onScopeDispose(leave)

  return {
    room,
    me,
    connection,
    ended,
    whipState: connections.whipState,
    whepState: connections.whepState,
    tracks: connections.tracks,
    toasts: toasts.toasts,
    unmuteAsked: notices.unmuteAsked,
    unread: notices.unread,
    local: capture.local,
    camera: capture.camera,
    choices: capture.choices,
    setMuted: capture.setMuted,
    setCamera: capture.setCamera,
    setScreen: capture.setScreen,
    changeDevices: capture.changeDevices,
    show: slots.show,
    setHand,
    chat,
    direct,
    leave,
    rejoin: () => location.reload(),
  }
}

/** A browser hides why a WebSocket was refused; the REST interface says it. Null: it may be tried again. */
async function whyRefused(meetingId: string): Promise<Refusal | null> {
  try {
    const meeting = await api<{ closed?: string | null }>('GET', `/meetings/${encodeURIComponent(meetingId)}`)
    return meeting.closed ? { code: 'meeting_ended', message: '' } : null
  } catch (error) {
    if (!(error instanceof ApiError)) return null
    if (error.status === 401) {
      location.assign(loginAddress(location.pathname + location.search))
      return { code: error.code, message: error.message }
    }
    return error.status === 403 || error.status === 404 || error.status === 410
      ? { code: error.code, message: error.message }
      : null
  }
}
