import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MediaConnection, type MediaState } from './connection'

const local = 'v=0\r\na=group:BUNDLE 0\r\nm=audio 9 X 111\r\na=mid:0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n'
const remote = 'v=0\r\nm=audio 9 X 111\r\na=mid:0\r\na=ice-ufrag:su\r\na=ice-pwd:sp\r\n'

/** The part of RTCPeerConnection that MediaConnection uses. */
class FakePeer {
  connectionState = 'new'
  signalingState = 'stable'
  onconnectionstatechange: (() => void) | null = null
  localDescription: { sdp: string } | null = null
  currentRemoteDescription: { sdp: string } | null = null
  iceRestarts = 0
  closed = false

  createOffer(options?: { iceRestart?: boolean }) {
    if (options?.iceRestart) this.iceRestarts++
    return Promise.resolve({ type: 'offer', sdp: local })
  }
  setLocalDescription(description: { type: string; sdp?: string }) {
    this.signalingState = description.type === 'rollback' ? 'stable' : 'have-local-offer'
    if (description.sdp) this.localDescription = { sdp: description.sdp }
    return Promise.resolve()
  }
  setRemoteDescription(description: { sdp: string }) {
    this.signalingState = 'stable'
    this.currentRemoteDescription = description
    return Promise.resolve()
  }
  close() {
    this.closed = true
  }
  become(state: string) {
    this.connectionState = state
    this.onconnectionstatechange?.()
  }
}

interface Call {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}
type Answer = (call: Call) => Response | Promise<Response>

const created = (n = 1) =>
  new Response(remote, {
    status: 201,
    headers: { Location: `/whep/resources/${n}`, 'Content-Type': 'application/sdp' },
  })
const fragment = () => new Response('a=ice-ufrag:su2\r\na=ice-pwd:sp2\r\n', { status: 200 })

function setUp(answers: Partial<Record<string, Answer>> = {}) {
  const peers: FakePeer[] = []
  const calls: Call[] = []
  const states: MediaState[] = []
  const refusals: string[] = []
  const connection = new MediaConnection(
    {
      endpoint: () => ({ url: '/whep/meetings/42', token: 'secret' }),
      prepare: () => undefined,
      onState: (state) => states.push(state),
      onRefused: (status, code) => refusals.push(`${status} ${code}`),
    },
    {
      createPeer: () => {
        const peer = new FakePeer()
        peers.push(peer)
        return peer as unknown as RTCPeerConnection
      },
      fetch: ((input: string, init: RequestInit) => {
        const call = {
          method: init.method ?? '',
          url: String(input),
          headers: init.headers as Record<string, string>,
          body: String(init.body ?? ''),
        }
        calls.push(call)
        const answer = answers[call.method]
        if (answer) return Promise.resolve().then(() => answer(call))
        return Promise.resolve(
          call.method === 'POST' ? created() : call.method === 'PATCH' ? fragment() : new Response(),
        )
      }) as typeof fetch,
      random: () => 0.5,
    },
  )
  const peer = () => {
    const last = peers.at(-1)
    if (!last) throw new Error('no peer connection was made')
    return last
  }
  const methods = () => calls.map((call) => call.method).join(' ')
  const connected = async () => {
    connection.start()
    await vi.advanceTimersByTimeAsync(1)
    peer().become('connected')
  }
  return { connection, peers, peer, calls, methods, states, refusals, connected }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe('MediaConnection', () => {
  it('posts the offer with its token and connects', async () => {
    const t = setUp()
    await t.connected()
    expect(t.calls[0]).toMatchObject({ method: 'POST', url: '/whep/meetings/42', body: local })
    expect(t.calls[0]?.headers).toMatchObject({
      Authorization: 'Bearer secret',
      'Content-Type': 'application/sdp',
    })
    expect(t.states).toEqual(['connecting', 'connected'])
  })

  it('leaves a path alone that heals by itself', async () => {
    const t = setUp()
    await t.connected()
    t.peer().become('disconnected')
    await vi.advanceTimersByTimeAsync(1000)
    t.peer().become('connected')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(t.methods()).toBe('POST')
  })

  it('restarts ICE by PATCH on the same peer connection', async () => {
    const t = setUp()
    await t.connected()
    t.peer().become('disconnected')
    await vi.advanceTimersByTimeAsync(1500)
    expect(t.methods()).toBe('POST PATCH')
    expect(t.calls[1]?.url).toBe('http://localhost/whep/resources/1')
    expect(t.calls[1]?.headers).toMatchObject({
      'Content-Type': 'application/trickle-ice-sdpfrag',
      'If-Match': '*',
      Authorization: 'Bearer secret',
    })
    expect(t.calls[1]?.body).toContain('a=ice-ufrag:u')
    expect(t.peer().currentRemoteDescription?.sdp).toContain('a=ice-ufrag:su2')
    t.peer().become('connected')
    expect(t.peers.length).toBe(1)
    expect(t.states.at(-1)).toBe('connected')
  })

  it('begins anew when the server no longer knows the session', async () => {
    const t = setUp({ PATCH: () => new Response('', { status: 404 }) })
    await t.connected()
    t.peer().become('failed')
    await vi.advanceTimersByTimeAsync(10)
    expect(t.methods()).toBe('POST PATCH POST')
    expect(t.peers.map((peer) => peer.closed)).toEqual([true, false])
    t.peer().become('connected')
    expect(t.states.at(-1)).toBe('connected')
  })

  it('begins anew after three restarts that the server answered in vain', async () => {
    const t = setUp()
    await t.connected()
    t.peer().become('failed')
    await vi.advanceTimersByTimeAsync(10)
    expect(t.peer().iceRestarts).toBe(1)
    await vi.advanceTimersByTimeAsync(8000)
    expect(t.peer().iceRestarts).toBe(2)
    await vi.advanceTimersByTimeAsync(8000)
    expect(t.peer().iceRestarts).toBe(3)
    await vi.advanceTimersByTimeAsync(8000)
    expect(t.peers.length).toBe(2)
    expect(t.methods()).toBe('POST PATCH PATCH PATCH DELETE POST')
  })

  it('keeps the peer connection while the network is away and PATCH cannot be sent', async () => {
    let away = true
    const t = setUp({
      PATCH: () => {
        if (away) throw new TypeError('network')
        return fragment()
      },
    })
    await t.connected()
    t.peer().become('failed')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(t.peers.length).toBe(1)
    expect(t.calls.length).toBeGreaterThan(10)
    away = false
    await vi.advanceTimersByTimeAsync(6000)
    t.peer().become('connected')
    expect(t.states.at(-1)).toBe('connected')
    expect(t.peers.length).toBe(1)
  })

  it('never gives up posting while the server is away', async () => {
    let away = true
    const t = setUp({
      POST: () => {
        if (away) throw new TypeError('network')
        return created()
      },
    })
    t.connection.start()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(t.calls.length).toBeGreaterThan(20)
    expect(t.states).toEqual(['connecting', 'interrupted'])
    away = false
    await vi.advanceTimersByTimeAsync(6000)
    t.peer().become('connected')
    expect(t.states.at(-1)).toBe('connected')
  })

  it('tells of a refusal with its code', async () => {
    const t = setUp({ POST: () => new Response('{"code":"token_expired"}', { status: 401 }) })
    t.connection.start()
    await vi.advanceTimersByTimeAsync(1)
    expect(t.refusals).toEqual(['401 token_expired'])
  })

  it('deletes the session when it is closed, and does nothing afterwards', async () => {
    const t = setUp()
    await t.connected()
    t.connection.close()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(t.methods()).toBe('POST DELETE')
    expect(t.peer().closed).toBe(true)
    expect(t.states.at(-1)).toBe('closed')
  })

  it('deletes a session that the server made after this page had closed', async () => {
    let answer: (response: Response) => void = () => undefined
    const t = setUp({ POST: () => new Promise<Response>((resolve) => (answer = resolve)) })
    t.connection.start()
    await vi.advanceTimersByTimeAsync(1)
    t.connection.close()
    answer(created(7))
    await vi.advanceTimersByTimeAsync(1)
    expect(t.calls.at(-1)).toMatchObject({ method: 'DELETE', url: 'http://localhost/whep/resources/7' })
  })

  it('uses a nudge to try at once', async () => {
    const t = setUp({ POST: () => Promise.reject(new TypeError('network')) })
    t.connection.start()
    await vi.advanceTimersByTimeAsync(60_000)
    const before = t.calls.length
    t.connection.nudge()
    await vi.advanceTimersByTimeAsync(1)
    expect(t.calls.length).toBe(before + 1)
  })
})
