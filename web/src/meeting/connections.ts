/** Both media connections of a meeting: this page publishes by WHIP and watches by WHEP. */
import { ref, shallowRef } from 'vue'
import { browserDeps, type Endpoint, type MediaState } from '../media/connection'
import { WhepViewer } from '../media/whep'
import { WhipPublisher, type Source } from '../media/whip'
import type { Media, Rid } from '../signal/protocol'

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

export interface ConnectionsOptions {
  /** What the server said last. */
  media: () => Media | undefined
  /** A small device offers fewer slots than the server has. */
  maxVideoSlots: number
  onRefused: (status: number, code: string, message: string) => void
}

export function useConnections(options: ConnectionsOptions) {
  const whipState = ref<MediaState>('new')
  const whepState = ref<MediaState>('new')
  /** What is received, by mid. */
  const tracks = shallowRef<ReadonlyMap<string, MediaStreamTrack>>(new Map())
  const debug: DebugHook = { whip: null, whep: null }
  window.tongxiangDebug = debug

  const published: Record<Source, MediaStreamTrack | null> = { audio: null, camera: null, screen: null }
  let whip: WhipPublisher | null = null
  let whep: WhepViewer | null = null

  const endpoint = (path: 'whip' | 'whep'): Endpoint | null => {
    const media = options.media()
    return media && media[path] !== '' ? { url: media[path], token: media.token } : null
  }

  /** Publishes a track of the source, or nothing, now and whenever there is a connection. */
  async function publish(source: Source, track: MediaStreamTrack | null): Promise<void> {
    published[source] = track
    await whip?.setTrack(source, track)
  }

  /** Goes to where the server says; with `sameSeat` what is connected there stays. */
  function follow(media: Media, sameSeat: boolean): void {
    if (media.whip === '') stopPublishing()
    else if (!whip) whip = newPublisher()
    else if (!sameSeat) whip.start()
    if (!whep) whep = newViewer(media)
    else if (!sameSeat) whep.start()
  }

  function stopPublishing(): void {
    whip?.close()
    whip = null
    debug.whip = null
    whipState.value = 'new'
  }

  function newPublisher(): WhipPublisher {
    const publisher = new WhipPublisher(
      {
        endpoint: () => endpoint('whip'),
        capabilities: {
          audio: RTCRtpSender.getCapabilities('audio')?.codecs ?? [],
          video: RTCRtpSender.getCapabilities('video')?.codecs ?? [],
        },
        onState: (state) => (whipState.value = state),
        onRefused: options.onRefused,
        onPeer: (peer) => (debug.whip = peer),
      },
      browserDeps(),
    )
    for (const source of ['audio', 'camera', 'screen'] as const)
      void publisher.setTrack(source, published[source])
    publisher.start()
    return publisher
  }

  function newViewer(media: Media): WhepViewer {
    const viewer = new WhepViewer(
      {
        endpoint: () => endpoint('whep'),
        videoSlots: Math.min(media.video_slots, options.maxVideoSlots),
        audioSlots: media.audio_slots,
        onTracks: (fresh) => (tracks.value = fresh),
        onState: (state) => (whepState.value = state),
        onRefused: options.onRefused,
        onPeer: (peer) => (debug.whep = peer),
      },
      browserDeps(),
    )
    viewer.start()
    return viewer
  }

  /** The camera's layers that somebody watches. */
  function setLayers(layers: readonly Rid[]): void {
    void whip?.setLayers(layers)
  }

  /** The network may be back. */
  function nudge(): void {
    whip?.nudge()
    whep?.nudge()
  }

  function close(): void {
    whip?.close()
    whep?.close()
    tracks.value = new Map()
  }

  return { whipState, whepState, tracks, publish, follow, setLayers, nudge, close }
}
