/** Microphone, camera and screen of this page in the meeting: opened, muted, changed and told to the server. */
import { reactive, shallowRef } from 'vue'
import type { Source } from '../media/whip'
import type { Command } from '../signal/protocol'
import { CommandError } from '../signal/session'
import type { Commands } from './commands'
import { openCamera, openMic, openScreen, problemOf, saveChoices, type Choices } from './devices'
import { find, type Room } from './state'
import type { Toasts, Translate } from './toasts'

export interface CaptureOptions {
  choices: Choices
  /** Tracks that are open already. */
  mic: MediaStreamTrack | null
  camera: MediaStreamTrack | null
  publish: (source: Source, track: MediaStreamTrack | null) => Promise<void>
  commands: Commands
  toasts: Toasts
  t: Translate
}

export type Capture = ReturnType<typeof useCapture>

export function useCapture(options: CaptureOptions) {
  const { choices, publish, t } = options
  const { send, tell, run } = options.commands
  const { toast, complainDevice } = options.toasts
  const local = reactive({ muted: !options.mic || !choices.useMic, sharing: false })
  const mic = shallowRef(options.mic)
  const camera = shallowRef(options.camera)
  const screen = shallowRef<MediaStreamTrack | null>(null)

  function applyMute(): void {
    if (mic.value) mic.value.enabled = !local.muted
  }

  /** Closes the microphone without a word to the server: it is the one that said so. */
  function mute(): void {
    local.muted = true
    applyMute()
  }

  function watchEnd(track: MediaStreamTrack, kind: 'mic' | 'camera'): void {
    track.onended = () => {
      toast(t('device.ended', { what: t(`device.${kind}`) }), 'error')
      if (kind === 'mic') {
        // Otherwise the site looks as if it were heard, and "mute" had to be pressed before "unmute" opens another.
        mute()
        void useMic(null)
        tell({ type: 'mute', muted: true })
      } else {
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
    await publish('audio', track)
  }

  async function useCamera(track: MediaStreamTrack | null): Promise<void> {
    if (camera.value && camera.value !== track) stopTrack(camera.value)
    camera.value = track
    if (track) watchEnd(track, 'camera')
    await publish('camera', track)
  }

  function stopCamera(): void {
    void useCamera(null)
  }

  function stopScreen(): void {
    const track = screen.value
    screen.value = null
    local.sharing = false
    if (track) stopTrack(track)
    void publish('screen', null)
  }

  /** Tells what has been done here already. On a cut line that is no failure: settle() says it after the next welcome. */
  async function say(command: Command): Promise<void> {
    await send(command).catch((error: unknown) => {
      if (!(error instanceof CommandError) || error.code !== 'disconnected') throw error
    })
  }

  const setMuted = (muted: boolean) =>
    run('mute', async () => {
      if (muted) {
        // At once and whatever the network does: nobody may be heard after having pressed this.
        mute()
        await say({ type: 'mute', muted: true })
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
        await say({ type: 'camera', on: false })
        return
      }
      try {
        await useCamera(await openCamera(choices.camera))
      } catch (error) {
        complainDevice('camera', error)
        return
      }
      await say({ type: 'camera', on: true })
    })

  const setScreen = (on: boolean) =>
    run('screen', async () => {
      if (!on) {
        stopScreen()
        await say({ type: 'screen', on: false })
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
      await publish('screen', track)
    })

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

  /** After a cut: what was done here meanwhile is told to the server, except opening a microphone that it muted. */
  function settle(room: Room): void {
    const self = find(room, room.you)
    if (!self || self.role === 'viewer') return
    if (self.muted) local.muted = true
    else if (local.muted) tell({ type: 'mute', muted: true })
    if (self.camera !== (camera.value !== null)) tell({ type: 'camera', on: camera.value !== null })
    if (screen.value && room.screen !== self.id)
      void send({ type: 'screen', on: true }).catch(() => stopScreen())
    if (!screen.value && room.screen === self.id) tell({ type: 'screen', on: false })
    applyMute()
  }

  function close(): void {
    for (const track of [mic.value, camera.value, screen.value]) if (track) stopTrack(track)
    mic.value = camera.value = screen.value = null
  }

  if (mic.value) watchEnd(mic.value, 'mic')
  if (camera.value) watchEnd(camera.value, 'camera')
  applyMute()
  void publish('audio', mic.value)
  void publish('camera', camera.value)

  return {
    choices,
    local,
    mic,
    camera,
    screen,
    applyMute,
    mute,
    stopCamera,
    stopScreen,
    setMuted,
    setCamera,
    setScreen,
    changeDevices,
    settle,
    close,
  }
}

function stopTrack(track: MediaStreamTrack): void {
  track.onended = null
  track.stop()
}
