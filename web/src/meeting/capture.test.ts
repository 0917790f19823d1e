import { beforeEach, expect, test, vi } from 'vitest'
import { CommandError } from '../signal/session'
import { useCapture } from './capture'
import { commandsOf } from './commands'
import type { Session } from '../signal/session'
import type { Toasts } from './toasts'

const track = () => ({ enabled: true, stop: vi.fn(), onended: null }) as unknown as MediaStreamTrack

/** A site with its camera on whose WebSocket answers every command with `code`. */
function site(code: string) {
  const complain = vi.fn()
  const session = { command: () => Promise.reject(new CommandError(code, '')) } as unknown as Session
  const capture = useCapture({
    choices: { camera: '', mic: '', speaker: '', useCamera: true, useMic: true },
    mic: track(),
    camera: track(),
    publish: () => Promise.resolve(),
    commands: commandsOf(session, complain),
    toasts: { toast: vi.fn(), complainDevice: vi.fn() } as unknown as Toasts,
    t: (key) => key,
  })
  return { capture, complain }
}
const settled = () => new Promise((resolve) => setTimeout(resolve))
beforeEach(() => {
  const getUserMedia = () => Promise.resolve({ getTracks: () => [track()] })
  vi.stubGlobal('navigator', { mediaDevices: { getUserMedia } })
})

test('a camera closed or opened while the line is cut is not said to have failed', async () => {
  const { capture, complain } = site('disconnected')
  capture.setCamera(false)
  await settled()
  expect(capture.camera.value).toBeNull()
  capture.setCamera(true)
  await settled()
  expect(capture.camera.value).not.toBeNull()
  expect(complain).not.toHaveBeenCalled()
})

test('a camera that the server refuses is complained about', async () => {
  const { capture, complain } = site('not_allowed')
  capture.setCamera(false)
  await settled()
  expect(complain).toHaveBeenCalledOnce()
})

test('a microphone pulled out is shown as muted, here and to the others', async () => {
  const sent: unknown[] = []
  const session = { command: (c: unknown) => (sent.push(c), Promise.resolve()) } as unknown as Session
  const mic = track()
  const capture = useCapture({
    choices: { camera: '', mic: '', speaker: '', useCamera: true, useMic: true },
    mic,
    camera: null,
    publish: () => Promise.resolve(),
    commands: commandsOf(session, vi.fn()),
    toasts: { toast: vi.fn(), complainDevice: vi.fn() } as unknown as Toasts,
    t: (key) => key,
  })
  expect(capture.local.muted).toBe(false)
  mic.onended?.(new Event('ended'))
  await settled()
  expect(capture.local.muted).toBe(true)
  expect(sent).toContainEqual({ type: 'mute', muted: true })
  // Plugged in again, one press opens it.
  capture.setMuted(false)
  await settled()
  expect(capture.mic.value).not.toBeNull()
  expect(capture.local.muted).toBe(false)
})
