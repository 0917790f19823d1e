/** Publishing by WHIP (RFC 9725): microphone, camera in layers, and a screen that may come later. */
import type { Rid } from '../signal/protocol'
import { MediaConnection, type ConnectionDeps, type Endpoint, type MediaState } from './connection'
import { applyLayers, cameraEncodings, screenEncodings } from './encodings'
import { preferH264, preferRed, tuneOpus } from './sdp'

export type Source = 'audio' | 'camera' | 'screen'

export interface Capabilities {
  audio: RTCRtpCodec[]
  video: RTCRtpCodec[]
}

export interface WhipOptions {
  endpoint: () => Endpoint | null
  capabilities: Capabilities
  onState?: (state: MediaState) => void
  onRefused?: (status: number, code: string, message: string) => void
  onPeer?: (peer: RTCPeerConnection) => void
}

export class WhipPublisher {
  private readonly connection: MediaConnection
  private readonly tracks: Record<Source, MediaStreamTrack | null> = {
    audio: null,
    camera: null,
    screen: null,
  }
  private senders: Partial<Record<Source, RTCRtpSender>> = {}
  private layers: readonly Rid[] | null = null
  private encodingCount = 0

  constructor(
    private readonly options: WhipOptions,
    deps: ConnectionDeps,
  ) {
    this.connection = new MediaConnection(
      {
        endpoint: options.endpoint,
        prepare: (peer) => this.prepare(peer),
        answer: tuneOpus,
        ...(options.onState ? { onState: options.onState } : {}),
        ...(options.onRefused ? { onRefused: options.onRefused } : {}),
        onNegotiated: () => void this.pauseLayers(),
      },
      deps,
    )
  }

  get peer(): RTCPeerConnection | null {
    return this.connection.peer
  }

  start(): void {
    this.connection.start()
  }

  close(): void {
    this.connection.close()
  }

  nudge(): void {
    this.connection.nudge()
  }

  /** Sends `track` from now on, or nothing. Never renegotiates, except that a camera of another class begins anew. */
  async setTrack(source: Source, track: MediaStreamTrack | null): Promise<void> {
    this.tracks[source] = track
    const sender = this.senders[source]
    if (!sender) return
    if (source === 'camera' && track && cameraEncodings(track.getSettings()).length !== this.encodingCount) {
      this.connection.start()
      return
    }
    await sender.replaceTrack(track)
  }

  /** Pauses the camera layers that nobody watches. */
  async setLayers(layers: readonly Rid[]): Promise<void> {
    this.layers = layers
    await this.pauseLayers()
  }

  // m-lines in the order of docs/protocol.md section 7: audio, camera, screen. A source without a track is offered all the
  // same, so that starting it later is replaceTrack.
  private prepare(peer: RTCPeerConnection): void {
    const { capabilities } = this.options
    const audio = peer.addTransceiver(this.tracks.audio ?? 'audio', { direction: 'sendonly' })
    const encodings = cameraEncodings(this.tracks.camera?.getSettings() ?? null)
    this.encodingCount = encodings.length
    const camera = peer.addTransceiver(this.tracks.camera ?? 'video', {
      direction: 'sendonly',
      sendEncodings: encodings,
    })
    const screen = peer.addTransceiver(this.tracks.screen ?? 'video', {
      direction: 'sendonly',
      sendEncodings: screenEncodings(),
    })
    if (capabilities.audio.length > 0) audio.setCodecPreferences(preferRed(capabilities.audio))
    if (capabilities.video.length > 0) {
      camera.setCodecPreferences(preferH264(capabilities.video))
      screen.setCodecPreferences(preferH264(capabilities.video))
    }
    this.senders = { audio: audio.sender, camera: camera.sender, screen: screen.sender }
    this.options.onPeer?.(peer)
  }

  private async pauseLayers(): Promise<void> {
    const sender = this.senders.camera
    if (!sender || !this.layers) return
    const parameters = sender.getParameters()
    if (!applyLayers(parameters.encodings, this.layers)) return
    try {
      await sender.setParameters(parameters)
    } catch {
      // The sender belongs to a connection that has just been replaced; onNegotiated comes here again.
    }
  }
}
