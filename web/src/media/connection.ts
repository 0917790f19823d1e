/**
 * One WHIP or WHEP session that stays up: POST the offer, restart ICE by PATCH when the path breaks, begin anew with
 * a new POST when the server no longer knows the session, for ever, until close().
 *
 * The server is ICE-lite and learns our address from the first check, so the offer is posted at once, without
 * waiting for candidates. Everything outside (peer connections, HTTP, random numbers) is passed in.
 */
import { iceFragment, spliceIce } from './sdp'

export interface Endpoint {
  url: string
  token: string
}

export type MediaState = 'new' | 'connecting' | 'connected' | 'interrupted' | 'closed'

export interface ConnectionDeps {
  createPeer: () => RTCPeerConnection
  fetch: typeof fetch
  random: () => number
}

export interface ConnectionOptions {
  /** Where to POST now; null when this page may not (any more). */
  endpoint: () => Endpoint | null
  /** Adds the m-lines to a fresh peer connection. */
  prepare: (peer: RTCPeerConnection) => void
  /** Changes the answer before it is applied. */
  answer?: (sdp: string) => string
  onState?: (state: MediaState) => void
  /** A fresh peer connection has an answer: mids are valid. */
  onNegotiated?: (peer: RTCPeerConnection) => void
  /** The server refused with this status; the connection goes on trying. */
  onRefused?: (status: number, code: string, message: string) => void
}

/** How long a path may be "disconnected" before ICE is restarted, in ms: short losses heal by themselves. */
const graceBeforeRestart = 1500
/** How long a restart or a new session may take, in ms. */
const patience = 8000
/** Restarts in a row without success before the session is made anew. */
const restartsBeforeNew = 3

export function browserDeps(): ConnectionDeps {
  return {
    // No ICE servers: nothing outside the network is asked for an address.
    createPeer: () => new RTCPeerConnection({ iceServers: [], bundlePolicy: 'max-bundle' }),
    fetch: (input, init) => fetch(input, init),
    random: Math.random,
  }
}

export class MediaConnection {
  peer: RTCPeerConnection | null = null
  private location = ''
  private token = ''
  private state: MediaState = 'new'
  private failures = 0
  private restarts = 0
  /** Grows with each new attempt; what an older attempt still brings is ignored. */
  private generation = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private busy = false

  constructor(
    private readonly options: ConnectionOptions,
    private readonly deps: ConnectionDeps,
  ) {}

  /** Begins, or begins anew with the endpoint of now. */
  start(): void {
    if (this.state === 'closed') return
    this.failures = 0
    void this.open()
  }

  /** Ends for good and tells the server. */
  close(): void {
    this.setState('closed')
    this.discard()
  }

  /** The network came back, the page became visible: do not sit out the wait. */
  nudge(): void {
    if (this.state === 'closed' || this.state === 'connected' || this.busy) return
    clearTimeout(this.timer)
    this.recover()
  }

  private setState(state: MediaState): void {
    if (this.state === state || this.state === 'closed') return
    this.state = state
    this.options.onState?.(state)
  }

  private discard(): void {
    this.generation++
    clearTimeout(this.timer)
    this.busy = false
    const peer = this.peer
    this.peer = null
    if (peer) {
      peer.onconnectionstatechange = null
      peer.close()
    }
    if (this.location !== '') {
      const location = this.location
      this.location = ''
      this.deps
        .fetch(location, {
          method: 'DELETE',
          headers: { Authorization: `Bearer ${this.token}` },
          keepalive: true,
        })
        .catch(() => undefined) // the server forgets a silent session by itself
    }
  }

  private async open(): Promise<void> {
    this.discard()
    const endpoint = this.options.endpoint()
    if (!endpoint) return
    const generation = this.generation
    this.busy = true
    this.restarts = 0
    if (this.state !== 'interrupted') this.setState('connecting')
    const peer = this.deps.createPeer()
    this.peer = peer
    this.token = endpoint.token
    try {
      this.options.prepare(peer)
      await peer.setLocalDescription(await peer.createOffer())
      const response = await this.request(
        endpoint.url,
        'POST',
        endpoint.token,
        'application/sdp',
        sdpOf(peer),
      )
      if (generation !== this.generation) {
        this.forget(response, endpoint)
        return
      }
      if (!response.ok) {
        await this.refused(response)
        throw new Error(`status ${response.status}`)
      }
      this.location = new URL(response.headers.get('Location') ?? '', new URL(endpoint.url, baseUrl())).href
      const answer = await response.text()
      if (generation !== this.generation) return
      await peer.setRemoteDescription({ type: 'answer', sdp: this.options.answer?.(answer) ?? answer })
      if (generation !== this.generation) return
      this.busy = false
      this.options.onNegotiated?.(peer)
      peer.onconnectionstatechange = () => this.follow(peer)
      this.later(patience, () => this.recover())
      this.follow(peer)
    } catch {
      if (generation !== this.generation) return
      this.busy = false
      this.setState('interrupted')
      this.later(this.wait(), () => void this.open())
    }
  }

  /** A session that the server made for an attempt that is over. */
  private forget(response: Response, endpoint: Endpoint): void {
    const location = response.ok ? response.headers.get('Location') : null
    if (!location) return
    this.deps
      .fetch(new URL(location, new URL(endpoint.url, baseUrl())).href, {
        method: 'DELETE',
        headers: { Authorization: `Bearer ${endpoint.token}` },
      })
      .catch(() => undefined) // the server forgets a silent session by itself
  }

  private follow(peer: RTCPeerConnection): void {
    if (peer !== this.peer || this.busy) return
    switch (peer.connectionState) {
      case 'connected':
        clearTimeout(this.timer)
        this.failures = 0
        this.restarts = 0
        this.setState('connected')
        return
      case 'disconnected':
        this.setState('interrupted')
        this.later(graceBeforeRestart, () => this.recover())
        return
      case 'failed':
        this.setState('interrupted')
        this.later(this.restarts === 0 ? 0 : this.wait(), () => this.recover())
        return
      case 'closed':
        this.setState('interrupted')
        this.later(this.wait(), () => void this.open())
    }
  }

  private recover(): void {
    const peer = this.peer
    if (this.state === 'closed' || peer?.connectionState === 'connected') return
    this.setState('interrupted')
    if (!peer || this.location === '' || this.restarts >= restartsBeforeNew) void this.open()
    else void this.restart(peer)
  }

  private async restart(peer: RTCPeerConnection): Promise<void> {
    const generation = this.generation
    clearTimeout(this.timer)
    this.busy = true
    try {
      const before = peer.currentRemoteDescription?.sdp ?? ''
      if (peer.signalingState === 'have-local-offer') await peer.setLocalDescription({ type: 'rollback' })
      await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }))
      const token = this.options.endpoint()?.token ?? this.token
      const body = iceFragment(sdpOf(peer))
      const response = await this.request(
        this.location,
        'PATCH',
        token,
        'application/trickle-ice-sdpfrag',
        body,
        { 'If-Match': '*' },
      )
      if (generation !== this.generation) return
      if (!response.ok) {
        // The server was restarted or has given the session up.
        this.location = ''
        this.busy = false
        void this.open()
        return
      }
      const fragment = await response.text()
      this.restarts++ // counted only when the server took part: without a network the peer connection is not to blame
      if (generation !== this.generation) return
      await peer.setRemoteDescription({ type: 'answer', sdp: spliceIce(before, fragment) })
      if (generation !== this.generation) return
      this.busy = false
      // "failed" may still stand here from before; only what comes from now on counts.
      if (peer.connectionState === 'connected') this.follow(peer)
      else this.later(patience, () => this.recover())
    } catch {
      if (generation !== this.generation) return
      this.busy = false
      this.later(this.wait(), () => this.recover())
    }
  }

  private async refused(response: Response): Promise<void> {
    let problem: { code?: string; detail?: string; title?: string } = {}
    try {
      problem = (await response.json()) as typeof problem
    } catch {
      // Not a problem document; the status says enough.
    }
    this.options.onRefused?.(response.status, problem.code ?? '', problem.detail ?? problem.title ?? '')
  }

  private request(
    url: string,
    method: string,
    token: string,
    type: string,
    body: string,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return this.deps.fetch(url, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': type, ...headers },
      body,
      signal: AbortSignal.timeout(patience),
    })
  }

  private later(ms: number, action: () => void): void {
    clearTimeout(this.timer)
    const generation = this.generation
    this.timer = setTimeout(() => {
      if (generation === this.generation) action()
    }, ms)
  }

  /** 0.3 s doubling to 5 s, ±20 %. */
  private wait(): number {
    const base = Math.min(300 * 2 ** this.failures, 5000)
    this.failures++
    return Math.round(base * (0.8 + 0.4 * this.deps.random()))
  }
}

function sdpOf(peer: RTCPeerConnection): string {
  return peer.localDescription?.sdp ?? ''
}

function baseUrl(): string {
  return typeof location === 'undefined' ? 'http://localhost/' : location.href
}
