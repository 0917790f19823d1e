/** Watching by WHEP: one offer with all the slots; who is in them is told over the WebSocket, by mid. */
import { MediaConnection, type ConnectionDeps, type Endpoint, type MediaState } from './connection'

export interface WhepOptions {
  endpoint: () => Endpoint | null
  videoSlots: number
  audioSlots: number
  /** The tracks of the slots by mid; called anew, whole, whenever the connection was made anew. */
  onTracks: (tracks: ReadonlyMap<string, MediaStreamTrack>) => void
  onState?: (state: MediaState) => void
  onRefused?: (status: number, code: string, message: string) => void
  onPeer?: (peer: RTCPeerConnection) => void
}

export class WhepViewer {
  private readonly connection: MediaConnection

  constructor(options: WhepOptions, deps: ConnectionDeps) {
    this.connection = new MediaConnection(
      {
        endpoint: options.endpoint,
        prepare: (peer) => {
          for (let i = 0; i < options.videoSlots; i++) peer.addTransceiver('video', { direction: 'recvonly' })
          for (let i = 0; i < options.audioSlots; i++) peer.addTransceiver('audio', { direction: 'recvonly' })
          options.onPeer?.(peer)
        },
        onNegotiated: (peer) => {
          // Receivers have their track from the start. The mid is the only name of a slot that survives the browser:
          // track ids are random.
          const tracks = new Map<string, MediaStreamTrack>()
          for (const transceiver of peer.getTransceivers()) {
            if (transceiver.mid !== null) tracks.set(transceiver.mid, transceiver.receiver.track)
          }
          options.onTracks(tracks)
        },
        ...(options.onState ? { onState: options.onState } : {}),
        ...(options.onRefused ? { onRefused: options.onRefused } : {}),
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
}
