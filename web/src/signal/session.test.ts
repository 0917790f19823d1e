import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerMessage } from './protocol'
import { backoff, CommandError, Session, type SessionOptions, type Socket } from './session'

class FakeSocket implements Socket {
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  sent: Record<string, unknown>[] = []
  closed = false

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>)
  }
  close(): void {
    this.closed = true
  }
  open(): void {
    this.onopen?.(undefined as never)
  }
  give(message: unknown): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) })
  }
  cut(): void {
    this.onclose?.({ code: 1006 })
  }
}

const welcome = (seq = 5, resume = 'r1') => ({
  type: 'welcome',
  v: 1,
  you: 'li',
  resumed: false,
  resume,
  seq,
  meeting: { id: '42', title: '例会' },
  state: { participants: [], hands: [], screen: '', mute_all: false, self_unmute: true, chat: [] },
  media: {
    whip: '/whip/meetings/42',
    whep: '/whep/meetings/42',
    token: 't',
    expires: '',
    video_slots: 4,
    audio_slots: 3,
  },
})
const event = (seq: number) => ({
  type: 'event',
  seq,
  at: '2026-11-24T01:00:00.000Z',
  event: { kind: 'camera', participant: 'li', on: true },
})

function setUp(more: Partial<SessionOptions> = {}) {
  const sockets: FakeSocket[] = []
  const messages: ServerMessage[] = []
  const welcomes: number[] = []
  const ends: string[] = []
  const states: string[] = []
  const session = new Session({
    url: 'wss://x/ws/meetings/42',
    hello: () => ({ lang: 'zh-CN', muted: true, camera: false }),
    open: () => {
      const socket = new FakeSocket()
      sockets.push(socket)
      return socket
    },
    random: () => 0.5,
    onState: (state) => states.push(state),
    onWelcome: (message) => welcomes.push(message.seq),
    onMessage: (message) => messages.push(message),
    onEnd: (bye) => ends.push(bye.code),
    ...more,
  })
  const last = () => {
    const socket = sockets.at(-1)
    if (!socket) throw new Error('no socket was opened')
    return socket
  }
  const seat = () => {
    last().open()
    last().give(welcome())
  }
  return { session, sockets, messages, welcomes, ends, states, last, seat }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe('backoff', () => {
  it('grows to 8 s and stays there, ±20 %', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 1000].map((n) => backoff(n, 0.5))).toEqual([
      0, 500, 1000, 2000, 4000, 8000, 8000, 8000,
    ])
    expect(backoff(5, 0)).toBe(6400)
    expect(backoff(5, 0.999)).toBeLessThanOrEqual(9600)
  })
})

describe('Session', () => {
  it('says hello when the socket opens and is seated by welcome', () => {
    const t = setUp()
    t.session.connect()
    t.last().open()
    expect(t.last().sent).toEqual([{ type: 'hello', v: 1, lang: 'zh-CN', muted: true, camera: false }])
    t.last().give(welcome())
    expect(t.welcomes).toEqual([5])
    expect(t.session.state).toBe('open')
  })

  it('answers each ping', () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().give({ type: 'ping', t: 99 })
    expect(t.last().sent.at(-1)).toEqual({ type: 'pong', t: 99 })
  })

  it('comes back with the resume token after a cut', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().cut()
    await vi.advanceTimersByTimeAsync(0)
    expect(t.sockets.length).toBe(2)
    t.last().open()
    expect(t.last().sent[0]?.['resume']).toBe('r1')
  })

  it('never gives up, waits longer each time, and starts anew after a success', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().cut()
    for (const wait of [0, 500, 1000, 2000, 4000, 8000, 8000, 8000]) {
      const before = t.sockets.length
      if (wait > 0) {
        await vi.advanceTimersByTimeAsync(wait - 1)
        expect(t.sockets.length).toBe(before)
      }
      await vi.advanceTimersByTimeAsync(wait > 0 ? 1 : 0)
      expect(t.sockets.length).toBe(before + 1)
      t.last().cut()
    }
    await vi.advanceTimersByTimeAsync(8000)
    t.seat()
    const before = t.sockets.length
    t.last().cut()
    await vi.advanceTimersByTimeAsync(0)
    expect(t.sockets.length).toBe(before + 1)
  })

  it('takes 15 s of silence as a cut, and a try that hangs for 10 s too', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    await vi.advanceTimersByTimeAsync(14_999)
    expect(t.session.state).toBe('open')
    await vi.advanceTimersByTimeAsync(1)
    expect(t.sockets[0]?.closed).toBe(true)
    await vi.advanceTimersByTimeAsync(1)
    expect(t.sockets.length).toBe(2)
    await vi.advanceTimersByTimeAsync(10_000 + 500)
    expect(t.sockets.length).toBe(3)
  })

  it('stays while the server is heard', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    for (let i = 0; i < 20; i++) {
      await vi.advanceTimersByTimeAsync(5000)
      t.last().give({ type: 'ping', t: i })
    }
    expect(t.sockets.length).toBe(1)
  })

  it('connects again when an event was missed and ignores one that it had', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().give(event(5))
    expect(t.messages).toEqual([])
    t.last().give(event(6))
    expect(t.messages.length).toBe(1)
    t.last().give(event(8))
    expect(t.messages.length).toBe(1)
    await vi.advanceTimersByTimeAsync(0)
    expect(t.sockets.length).toBe(2)
  })

  it('connects again when the server cannot be understood', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().give('{"type":"slots","video":7}')
    await vi.advanceTimersByTimeAsync(0)
    expect(t.sockets.length).toBe(2)
  })

  it('resolves a command by its ok and rejects it by its error', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    const first = t.session.command({ type: 'mute', muted: true })
    const second = t.session.command({ type: 'mute', muted: false })
    expect(t.last().sent.slice(1)).toEqual([
      { type: 'mute', muted: true, id: 'c1' },
      { type: 'mute', muted: false, id: 'c2' },
    ])
    t.last().give({ type: 'error', id: 'c2', code: 'muted_by_chair', message: '主席已将您静音。' })
    t.last().give({ type: 'ok', id: 'c1' })
    await expect(first).resolves.toBeUndefined()
    await expect(second).rejects.toMatchObject({ code: 'muted_by_chair', message: '主席已将您静音。' })
    expect(t.messages).toEqual([])
  })

  it('rejects commands that a cut leaves unanswered, and commands without a connection', async () => {
    const t = setUp()
    t.session.connect()
    await expect(t.session.command({ type: 'leave' })).rejects.toBeInstanceOf(CommandError)
    t.seat()
    const open = t.session.command({ type: 'hand', raised: true })
    t.last().cut()
    await expect(open).rejects.toMatchObject({ code: 'disconnected' })
  })

  it('does not come back after a final bye, but does when the user says so, with its seat', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().give({ type: 'bye', code: 'replaced', message: '' })
    t.last().cut()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(t.ends).toEqual(['replaced'])
    expect(t.sockets.length).toBe(1)
    t.session.connect()
    t.last().open()
    expect(t.last().sent[0]?.['resume']).toBe('r1')
  })

  it('comes back after a bye that is not final, after too_many_messages not before 5 s', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.last().give({ type: 'bye', code: 'too_many_messages', message: '' })
    t.last().cut()
    await vi.advanceTimersByTimeAsync(4999)
    expect(t.sockets.length).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(t.sockets.length).toBe(2)
    expect(t.ends).toEqual([])
  })

  it('asks whether trying again makes sense when it was refused before welcome', async () => {
    const answers = [null, { code: 'meeting_ended', message: '会议已结束。' }]
    const t = setUp({ mayRetry: () => Promise.resolve(answers.shift() ?? null) })
    t.session.connect()
    t.last().cut()
    await vi.advanceTimersByTimeAsync(0)
    expect(t.sockets.length).toBe(2)
    t.last().cut()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(t.sockets.length).toBe(2)
    expect(t.ends).toEqual(['meeting_ended'])
  })

  it('leaves once and for all', async () => {
    const t = setUp()
    t.session.connect()
    t.seat()
    t.session.leave()
    expect(t.sockets[0]?.sent.at(-1)).toEqual({ type: 'leave' })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(t.sockets.length).toBe(1)
    expect(t.ends).toEqual(['left'])
  })
})
