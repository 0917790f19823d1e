/**
 * The running meeting of this page: the WebSocket session, both media connections and the local devices, glued
 * together. What it decides with is pure and tested elsewhere (state, layout, encodings, session, connection).
 */
import { computed, onScopeDispose, reactive, ref, shallowRef, watch } from 'vue'
import { api, ApiError } from '../shared/api'
import { storedLanguage } from '../shared/i18n'
import { loginAddress } from '../shared/next'
import { browserDeps, type Endpoint, type MediaState } from '../media/connection'
import { WhepViewer } from '../media/whep'
import { WhipPublisher } from '../media/whip'
import type { Command, EventMessage, Media, ServerMessage, ViewSlot, Welcome } from '../signal/protocol'
import { CommandError, Session, type SessionState } from '../signal/session'
import {
  openCamera,
  openMic,
  openScreen,
  problemOf,
  saveChoices,
  type Choices,
  type DeviceKind,
} from './devices'
import { find, reduce, type Room } from './state'

export interface Toast {
  id: number
  text: string
  kind: 'info' | 'error'
}

/** For support staff: the two peer connections, to be asked for getStats() in the browser's console. */
export interface DebugHook {
  whip: RTCPeerConnection | null
  whep: RTCPeerConnection | null
}
declare global {
  interface Window {
    tongxiangDebug?: DebugHook
  }
}

export interface RoomOptions {
  meetingId: string
  choices: Choices
  mic: MediaStreamTrack | null
  camera: MediaStreamTrack | null
  /** A small device offers fewer slots than the server has. */
  maxVideoSlots: number
  t: (key: string, values?: Record<string, unknown>) => string
}

const toastTime = 6000
const viewDelay = 150

export type RoomControl = ReturnType<typeof useRoom>

export function useRoom(options: RoomOptions) {
  const { t, choices } = options
  const room = shallowRef<Room | null>(null)
  const connection = ref<SessionState>('connecting')
  const whipState = ref<MediaState>('new')
  const whepState = ref<MediaState>('new')
  const ended = ref<{ code: string; message: string } | null>(null)
  const toasts = ref<Toast[]>([])
  const unmuteAsked = ref(false)
  const unread = ref(0)
  const tracks = shallowRef<ReadonlyMap<string, MediaStreamTrack>>(new Map())
  const local = reactive({ muted: !options.mic || !choices.useMic, sharing: false, busy: new Set<string>() })
  const mic = shallowRef(options.mic)
  const camera = shallowRef(options.camera)
  const screen = shallowRef<MediaStreamTrack | null>(null)
  const me = computed(() => (room.value ? find(room.value, room.value.you) : undefined))
  const debug: DebugHook = { whip: null, whep: null }
  window.tongxiangDebug = debug

  let whip: WhipPublisher | null = null
  let whep: WhepViewer | null = null
  let nextToast = 0
  let wanted: ViewSlot[] = []
  let sentView = ''
  let viewTimer: ReturnType<typeof setTimeout> | undefined
  let refusedWith = ''

  // --- words for the user

  function toast(text: string, kind: Toast['kind'] = 'info'): void {
    const id = ++nextToast
    toasts.value = [...toasts.value.slice(-3), { id, text, kind }]
    setTimeout(() => (toasts.value = toasts.value.filter((x) => x.id !== id)), toastTime)
  }

  function complain(error: unknown): void {
    if (!(error instanceof CommandError)) {
      toast(t('error.other', { message: error instanceof Error ? error.message : String(error) }), 'error')
    } else if (error.code === 'disconnected' || error.code === 'no_answer')
      toast(t(`error.${error.code}`), 'error')
    else toast(error.message || t('error.other', { message: error.code }), 'error')
  }

  function complainDevice(kind: DeviceKind, error: unknown): void {
    toast(t(`device.${problemOf(error)}`, { what: t(`device.${kind}`) }), 'error')
  }

  // --- the WebSocket

  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const session = new Session({
    url: `${scheme}://${location.host}/ws/meetings/${encodeURIComponent(options.meetingId)}`,
    hello: () => ({ lang: storedLanguage(), muted: local.muted, camera: camera.value !== null }),
    mayRetry,
    onState: (state) => (connection.value = state),
    onWelcome: welcomed,
    onMessage: received,
    onEnd: finish,
  })

  /** A browser hides why a WebSocket was refused; the REST interface says it. */
  async function mayRetry(): Promise<{ code: string; message: string } | null> {
    try {
      const meeting = await api<{ closed?: string | null }>(
        'GET',
        `/meetings/${encodeURIComponent(options.meetingId)}`,
      )
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

  function welcomed(message: Welcome): void {
    const before = room.value
    room.value = reduce(before, message)
    const sameSeat = before !== null && message.resumed && before.you === message.you
    if (before !== null) toast(t('net.back'))
    sentView = ''
    sendView()
    followMedia(message.media, sameSeat)
    settleWithServer()
  }

  /** After a cut: what was done here meanwhile is told to the server, except opening a microphone that it muted. */
  function settleWithServer(): void {
    const self = me.value
    if (!self || self.role === 'viewer') return
    if (self.muted) local.muted = true
    else if (local.muted) tell({ type: 'mute', muted: true })
    if (self.camera !== (camera.value !== null)) tell({ type: 'camera', on: camera.value !== null })
    if (screen.value && room.value?.screen !== self.id)
      void send({ type: 'screen', on: true }).catch(() => stopScreen())
    if (!screen.value && room.value?.screen === self.id) tell({ type: 'screen', on: false })
    applyMute()
  }

  function received(message: Exclude<ServerMessage, Welcome>): void {
    const before = room.value
    room.value = reduce(before, message)
    switch (message.type) {
      case 'layers':
        void whip?.setLayers(message.active)
        break
      case 'media':
        followMedia(message.media, true)
        break
      case 'event':
        if (before) notice(before, message)
        break
      case 'error':
        toast(message.message || message.code, 'error')
    }
  }

  function notice(before: Room, { event }: EventMessage): void {
    const you = before.you
    switch (event.kind) {
      case 'muted':
        if (event.participant !== you) break
        local.muted = event.muted
        if (event.muted && event.by !== '' && event.by !== you) toast(t('room.mutedByChair'))
        applyMute()
        break
      case 'muted_all':
        if (!event.muted || me.value?.role === 'chair') break
        local.muted = true
        toast(t(event.self_unmute ? 'room.mutedByChairSelf' : 'room.mutedByChair'))
        applyMute()
        break
      case 'unmute_requested':
        if (event.participant === you) unmuteAsked.value = true
        break
      case 'screen':
        if (event.participant === you && !event.on && screen.value) {
          stopScreen()
          if (event.by !== you) toast(t('room.shareStopped'))
        }
        break
      case 'hand':
        if (event.raised && event.participant !== you && me.value?.role === 'chair') {
          toast(t('room.raised', { name: find(before, event.participant)?.name ?? event.participant }))
        }
        break
      case 'chat':
        if (event.from !== you) unread.value++
        break
      case 'role':
        if (event.participant !== you) break
        toast(t(`room.role${event.role}`))
        if (event.role === 'viewer') {
          local.muted = true
          stopCamera()
          stopScreen()
          applyMute()
        }
    }
  }

  async function send(command: Command): Promise<void> {
    await session.command(command)
  }

  /** For what settleWithServer says again after the next welcome anyway. */
  function tell(command: Command): void {
    send(command).catch(() => undefined)
  }

  function run(name: string, action: () => Promise<void>): void {
    if (local.busy.has(name)) return
    local.busy.add(name)
    void action()
      .catch(complain)
      .finally(() => local.busy.delete(name))
  }

  function finish(bye: { code: string; message: string }): void {
    ended.value = bye
    shut()
  }

  // --- media connections

  const endpoint = (path: 'whip' | 'whep'): Endpoint | null => {
    const media = room.value?.media
    return media && media[path] !== '' ? { url: media[path], token: media.token } : null
  }

  function followMedia(media: Media, sameSeat: boolean): void {
    const deps = browserDeps()
    if (media.whip === '') {
      whip?.close()
      whip = null
      debug.whip = null
      whipState.value = 'new'
    } else if (!whip) {
      whip = new WhipPublisher(
        {
          endpoint: () => endpoint('whip'),
          capabilities: {
            audio: RTCRtpSender.getCapabilities('audio')?.codecs ?? [],
            video: RTCRtpSender.getCapabilities('video')?.codecs ?? [],
          },
          onState: (state) => (whipState.value = state),
          onRefused: mediaRefused,
          onPeer: (peer) => (debug.whip = peer),
        },
        deps,
      )
      void whip.setTrack('audio', mic.value)
      void whip.setTrack('camera', camera.value)
      void whip.setTrack('screen', screen.value)
      whip.start()
    } else if (!sameSeat) whip.start()
    if (!whep) {
      whep = new WhepViewer(
        {
          endpoint: () => endpoint('whep'),
          videoSlots: Math.min(media.video_slots, options.maxVideoSlots),
          audioSlots: media.audio_slots,
          onTracks: (fresh) => (tracks.value = fresh),
          onState: (state) => (whepState.value = state),
          onRefused: mediaRefused,
          onPeer: (peer) => (debug.whep = peer),
        },
        deps,
      )
      whep.start()
    } else if (!sameSeat) whep.start()
  }

  function mediaRefused(status: number, code: string, message: string): void {
    if (status === 401 && connection.value === 'open') tell({ type: 'media' })
    const reason = message || code || `HTTP ${status}`
    if (refusedWith === reason) return // said once; the connection goes on trying
    refusedWith = reason
    toast(t('net.refused', { message: reason }), 'error')
  }

  const nudge = () => {
    if (connection.value === 'waiting') session.connect()
    whip?.nudge()
    whep?.nudge()
  }
  window.addEventListener('online', nudge)
  const hide = () => {
    if (document.visibilityState === 'visible') nudge()
  }
  document.addEventListener('visibilitychange', hide)

  // --- what the page shows

  function show(view: ViewSlot[]): void {
    wanted = view
    clearTimeout(viewTimer)
    viewTimer = setTimeout(sendView, viewDelay)
  }

  function sendView(): void {
    const text = JSON.stringify(wanted)
    if (wanted.length === 0 || text === sentView || connection.value !== 'open') return
    sentView = text
    void send({ type: 'view', slots: wanted }).catch((error: unknown) => {
      if (error instanceof CommandError && error.code !== 'disconnected') sentView = ''
    })
  }

  // --- microphone, camera, screen, hand, chat

  function applyMute(): void {
    if (mic.value) mic.value.enabled = !local.muted
  }

  function watchEnd(track: MediaStreamTrack, kind: 'mic' | 'camera'): void {
    track.onended = () => {
      toast(t('device.ended', { what: t(`device.${kind}`) }), 'error')
      if (kind === 'mic') void useMic(null)
      else {
        stopCamera()
        tell({ type: 'camera', on: false })
      }
    }
  }

  async function useMic(track: MediaStreamTrack | null): Promise<void> {
    if (mic.value && mic.value !== track) stopTrack(mic.value)
    mic.value = track
    if (track) watchEnd(track, 'mic')
    applyMute()
    await whip?.setTrack('audio', track)
  }

  async function useCamera(track: MediaStreamTrack | null): Promise<void> {
    if (camera.value && camera.value !== track) stopTrack(camera.value)
    camera.value = track
    if (track) watchEnd(track, 'camera')
    await whip?.setTrack('camera', track)
  }

  function stopCamera(): void {
    void useCamera(null)
  }

  function stopScreen(): void {
    const track = screen.value
    screen.value = null
    local.sharing = false
    if (track) stopTrack(track)
    void whip?.setTrack('screen', null)
  }

  const setMuted = (muted: boolean) =>
    run('mute', async () => {
      if (muted) {
        // At once and whatever the network does: nobody may be heard after having pressed this.
        local.muted = true
        applyMute()
        await send({ type: 'mute', muted: true }).catch((error: unknown) => {
          if (!(error instanceof CommandError) || error.code !== 'disconnected') throw error
        })
        return
      }
      if (!mic.value) {
        try {
          await useMic(await openMic(choices.mic))
        } catch (error) {
          complainDevice('mic', error)
          return
        }
      }
      await send({ type: 'mute', muted: false })
      local.muted = false
      applyMute()
    })

  const setCamera = (on: boolean) =>
    run('camera', async () => {
      if (!on) {
        stopCamera()
        await send({ type: 'camera', on: false })
        return
      }
      try {
        await useCamera(await openCamera(choices.camera))
      } catch (error) {
        complainDevice('camera', error)
        return
      }
      await send({ type: 'camera', on: true })
    })

  const setScreen = (on: boolean) =>
    run('screen', async () => {
      if (!on) {
        stopScreen()
        await send({ type: 'screen', on: false })
        return
      }
      let track: MediaStreamTrack
      try {
        // First, while the click still counts: browsers forget it during a slow answer of the server.
        track = await openScreen()
      } catch (error) {
        if (problemOf(error) !== 'denied') complainDevice('screen', error)
        return // "denied" is the user who closed the choice
      }
      try {
        await send({ type: 'screen', on: true })
      } catch (error) {
        stopTrack(track)
        throw error
      }
      screen.value = track
      local.sharing = true
      // The browser's own "stop sharing" bar.
      track.onended = () => setScreen(false)
      await whip?.setTrack('screen', track)
    })

  const setHand = (raised: boolean) => run('hand', () => send({ type: 'hand', raised }))

  /** True when the message was delivered. */
  async function chat(text: string): Promise<boolean> {
    try {
      await send({ type: 'chat', text })
      return true
    } catch (error) {
      complain(error)
      return false
    }
  }

  /** A chair's command about others. */
  const direct = (command: Command) => run(JSON.stringify(command), () => send(command))

  async function changeDevices(next: Choices): Promise<void> {
    const before = { ...choices }
    Object.assign(choices, next)
    saveChoices(choices)
    try {
      if (before.mic !== next.mic && mic.value) await useMic(await openMic(next.mic))
    } catch (error) {
      complainDevice('mic', error)
    }
    try {
      if (before.camera !== next.camera && camera.value) await useCamera(await openCamera(next.camera))
    } catch (error) {
      complainDevice('camera', error)
    }
  }

  function leave(): void {
    session.leave()
  }

  function rejoin(): void {
    location.reload()
  }

  let isShut = false
  function shut(): void {
    if (isShut) return
    isShut = true
    clearTimeout(viewTimer)
    window.removeEventListener('online', nudge)
    document.removeEventListener('visibilitychange', hide)
    window.removeEventListener('pagehide', leave)
    whip?.close()
    whep?.close()
    for (const track of [mic.value, camera.value, screen.value]) if (track) stopTrack(track)
    mic.value = camera.value = screen.value = null
    tracks.value = new Map()
  }

  // A closed page leaves; a reloaded one takes a seat anew.
  window.addEventListener('pagehide', leave)
  watch(connection, (state) => {
    if (state === 'open') sendView()
  })
  if (mic.value) watchEnd(mic.value, 'mic')
  if (camera.value) watchEnd(camera.value, 'camera')
  applyMute()
  session.connect()
  onScopeDispose(leave)

  return {
    room,
    me,
    connection,
    whipState,
    whepState,
    ended,
    toasts,
    unmuteAsked,
    unread,
    tracks,
    local,
    mic,
    camera,
    screen,
    choices,
    show,
    setMuted,
    setCamera,
    setScreen,
    setHand,
    chat,
    direct,
    changeDevices,
    leave,
    rejoin,
    toast,
  }
}

function stopTrack(track: MediaStreamTrack): void {
  track.onended = null
  track.stop()
}
