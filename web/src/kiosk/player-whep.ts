import { authorization } from './device'
import { begin, type Player, type PlayerEvents, release, sentence, type Wanted } from './player'
import { remembered, type Sound } from './sound'

const gathering = 1_000

/**
 * Plays `/whep/{stream}` with one video and one audio m-line: a second or two nearer to the source than HLS, on
 * networks that let UDP through.
 */
export function playWhep(
  video: HTMLVideoElement,
  stream: string,
  token: string,
  events: PlayerEvents,
  wanted: Wanted,
  sounds: readonly Sound[],
): Player {
  let stopped = false
  let resource = ''
  const connection = new RTCPeerConnection()
  const media = new MediaStream()
  let why = ''
  const fail = (cause: string): void => {
    if (!stopped) events.failed(cause, why)
  }
  const headers = authorization(token)

  connection.addTransceiver('video', { direction: 'recvonly' })
  connection.addTransceiver('audio', { direction: 'recvonly' })
  connection.addEventListener('track', ({ track }) => media.addTrack(track))
  connection.addEventListener('connectionstatechange', () => {
    // `disconnected` may heal by itself; the watchdog on the picture decides about that.
    if (connection.connectionState === 'failed' || connection.connectionState === 'closed') fail('connection')
  })
  const onPlaying = (): void => {
    if (!stopped) events.playing()
  }
  video.addEventListener('playing', onPlaying)

  async function start(): Promise<void> {
    await connection.setLocalDescription()
    await gathered(connection)
    const response = await fetch(whepAddress(stream, wanted), {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp', 'Accept-Language': wanted.language, ...headers },
      credentials: 'same-origin',
      body: connection.localDescription?.sdp ?? '',
      signal: AbortSignal.timeout(10_000),
    })
    if (!response.ok) {
      why = sentence(await response.text())
      throw new Error(`whep ${response.status}`)
    }
    resource = response.headers.get('Location') ?? ''
    const sdp = await response.text()
    if (stopped) {
      remove()
      return
    }
    await connection.setRemoteDescription({ type: 'answer', sdp })
    video.srcObject = media
    await begin(video, {
      playing: onPlaying,
      failed: fail,
      silenced: () => {
        if (!stopped) events.silenced()
      },
      sounds: () => undefined, // the server was asked for one
    })
    if (!stopped && sounds.length > 1) events.sounds(sounds, Math.max(0, remembered(sounds, wanted.sound)))
  }

  function remove(): void {
    if (resource === '') return
    // The server notices a viewer that is gone by itself; this only makes it sooner.
    void fetch(resource, { method: 'DELETE', headers, credentials: 'same-origin', keepalive: true }).catch(
      () => {},
    )
    resource = ''
  }

  start().catch((cause: unknown) => fail(String(cause)))
  return {
    stop() {
      stopped = true
      video.removeEventListener('playing', onPlaying)
      connection.close()
      remove()
      release(video)
    },
  }
}

/** Where to ask for a stream in the wanted quality and sound. */
export function whepAddress(stream: string, wanted: Wanted): string {
  const query = new URLSearchParams()
  if (wanted.quality !== 'auto') query.set('quality', wanted.quality)
  if (wanted.sound !== '') query.set('audio', wanted.sound)
  const text = query.toString()
  return `/whep/${stream}${text === '' ? '' : `?${text}`}`
}

/** Resolves when the candidates are in the offer. The server is ICE-lite: late ones are not needed. */
function gathered(connection: RTCPeerConnection): Promise<void> {
  if (connection.iceGatheringState === 'complete') return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, gathering)
    connection.addEventListener('icegatheringstatechange', () => {
      if (connection.iceGatheringState !== 'complete') return
      clearTimeout(timer)
      resolve()
    })
  })
}
