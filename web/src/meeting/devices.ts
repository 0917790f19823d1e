/** Cameras, microphones and speakers of this machine, and what the user chose last. */

export interface Choices {
  camera: string
  mic: string
  speaker: string
  useCamera: boolean
  useMic: boolean
}

export type DeviceKind = 'camera' | 'mic' | 'screen'
export type DeviceProblem = 'denied' | 'missing' | 'busy' | 'other'

const storageKey = 'tongxiang.devices'
const fresh: Choices = { camera: '', mic: '', speaker: '', useCamera: true, useMic: true }

/** What was chosen last on this machine. */
export function loadChoices(): Choices {
  try {
    const stored = JSON.parse(localStorage.getItem(storageKey) ?? '{}') as Partial<Choices>
    const text = (value: unknown) => (typeof value === 'string' ? value : '')
    return {
      camera: text(stored.camera),
      mic: text(stored.mic),
      speaker: text(stored.speaker),
      useCamera: stored.useCamera !== false,
      useMic: stored.useMic !== false,
    }
  } catch {
    return { ...fresh }
  }
}

export function saveChoices(choices: Choices): void {
  try {
    localStorage.setItem(storageKey, JSON.stringify(choices))
  } catch {
    // Storage is switched off; the choice holds for this page.
  }
}

/** Whether the browser gives this page devices at all: only over HTTPS or on localhost. */
export function devicesAllowed(): boolean {
  return window.isSecureContext && navigator.mediaDevices !== undefined
}

/** The same page at the server's HTTPS port. */
export function secureAddress(
  port: number,
  at: Pick<Location, 'hostname' | 'pathname' | 'search' | 'hash'> = location,
): string {
  const host = port === 443 ? at.hostname : `${at.hostname}:${port}`
  return `https://${host}${at.pathname}${at.search}${at.hash}`
}

export function problemOf(error: unknown): DeviceProblem {
  const name = error instanceof Error ? error.name : ''
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied'
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'missing'
  if (name === 'NotReadableError' || name === 'AbortError') return 'busy'
  return 'other'
}

async function open(kind: 'audio' | 'video', constraints: MediaTrackConstraints, id: string) {
  const one = async (wanted: MediaTrackConstraints) => {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: wanted })
    const track = stream.getTracks()[0]
    if (!track) throw new DOMException('no track', 'NotFoundError')
    return track
  }
  if (id === '') return one(constraints)
  try {
    return await one({ ...constraints, deviceId: { exact: id } })
  } catch (error) {
    // The device chosen last time is not plugged in today: any other is better than none.
    if (problemOf(error) === 'missing') return one(constraints)
    throw error
  }
}

export function openCamera(id: string): Promise<MediaStreamTrack> {
  return open(
    'video',
    { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25, max: 30 } },
    id,
  )
}

export function openMic(id: string): Promise<MediaStreamTrack> {
  return open('audio', { echoCancellation: true, noiseSuppression: true, autoGainControl: true }, id)
}

export async function openScreen(): Promise<MediaStreamTrack> {
  const stream = await navigator.mediaDevices.getDisplayMedia({
    video: { width: { max: 1920 }, height: { max: 1080 }, frameRate: { max: 15 } },
    audio: false,
  })
  const track = stream.getVideoTracks()[0]
  if (!track) throw new DOMException('no track', 'NotFoundError')
  // Text first: under pressure the picture loses frames, not letters.
  track.contentHint = 'detail'
  return track
}

export interface DeviceList {
  cameras: MediaDeviceInfo[]
  mics: MediaDeviceInfo[]
  speakers: MediaDeviceInfo[]
}

export async function listDevices(): Promise<DeviceList> {
  const all = devicesAllowed() ? await navigator.mediaDevices.enumerateDevices() : []
  const of = (kind: MediaDeviceKind) => all.filter((device) => device.kind === kind && device.deviceId !== '')
  return { cameras: of('videoinput'), mics: of('audioinput'), speakers: of('audiooutput') }
}

/** Measures how loud a microphone is, 0 to 1, for the bar that shows it works. */
export class LevelMeter {
  private readonly context = new AudioContext()
  private readonly analyser = this.context.createAnalyser()
  private readonly samples = new Float32Array(1024)

  constructor(track: MediaStreamTrack) {
    this.analyser.fftSize = 1024
    this.context.createMediaStreamSource(new MediaStream([track])).connect(this.analyser)
  }

  read(): number {
    this.analyser.getFloatTimeDomainData(this.samples)
    let sum = 0
    for (const sample of this.samples) sum += sample * sample
    const decibels = 10 * Math.log10(sum / this.samples.length + 1e-10)
    return Math.min(1, Math.max(0, (decibels + 60) / 55))
  }

  close(): void {
    void this.context.close()
  }
}

/** Half a second of a soft tone on the chosen speaker. */
export async function testTone(speaker: string): Promise<void> {
  const context = new AudioContext()
  const audio = new Audio()
  const output = context.createMediaStreamDestination()
  const tone = context.createOscillator()
  const gain = context.createGain()
  tone.frequency.value = 660
  gain.gain.value = 0.2
  tone.connect(gain).connect(output)
  audio.srcObject = output.stream
  if (speaker !== '' && 'setSinkId' in audio) await audio.setSinkId(speaker)
  await audio.play()
  tone.onended = () => {
    audio.srcObject = null
    void context.close()
  }
  tone.start()
  tone.stop(context.currentTime + 0.6)
}
