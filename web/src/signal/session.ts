/**
 * One seat in one meeting over a WebSocket that may be cut at any time: hello, resume, heartbeat, back-off for ever.
 * The socket and the clock are passed in, so that all of this runs in a unit test.
 */
import {
  decode,
  finalByes,
  protocolVersion,
  subprotocol,
  type ByeMessage,
  type Command,
  type ErrorMessage,
  type Hello,
  type ServerMessage,
  type Welcome,
} from './protocol'

/** The part of WebSocket that the session uses. */
export interface Socket {
  send(data: string): void
  close(code?: number, reason?: string): void
  onopen: ((event: never) => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number }) => void) | null
}

export type SessionState = 'connecting' | 'open' | 'waiting' | 'ended'

/** Why asking the server again makes no sense, from the REST answer for the meeting. */
export type Refusal = { code: string; message: string }

export interface SessionOptions {
  url: string
  /** How this page begins when it has no seat yet. */
  hello: () => Pick<Hello, 'lang' | 'muted' | 'camera' | 'name'>
  open?: (url: string, protocol: string) => Socket
  /** Asked after a socket closed before `welcome`: a reason to stop, or null to go on trying. */
  mayRetry?: () => Promise<Refusal | null>
  /** Uniform in [0, 1). */
  random?: () => number
  onState?: (state: SessionState, nextTryInMs: number) => void
  onWelcome: (welcome: Welcome) => void
  onMessage: (message: Exclude<ServerMessage, Welcome>) => void
  /** The session will not come back by itself. */
  onEnd: (bye: { code: string; message: string }) => void
}

/** Waits before the first, second, … new try, in ms; the last one repeats for ever (docs/protocol.md section 2). */
const waits = [0, 500, 1000, 2000, 4000, 8000]
/** Silence after which the connection counts as dead, in ms: three heartbeats of the server. */
const silence = 15_000
/** How long a try may take until `welcome`, in ms. */
const patience = 10_000
const commandPatience = 10_000

/** The wait before try number `attempt` (0 is the first after a cut), ±20 %. */
export function backoff(attempt: number, random: number): number {
  const base = waits[Math.min(attempt, waits.length - 1)] ?? 8000
  return Math.round(base * (0.8 + 0.4 * random))
}

/** A command was refused by the server, or could not be delivered (code 'disconnected'). */
export class CommandError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
    this.name = 'CommandError'
  }
}

interface Pending {
  resolve: () => void
  reject: (error: CommandError) => void
  timer: ReturnType<typeof setTimeout>
}

export class Session {
  private socket: Socket | null = null
  private seated = false
  private attempt = 0
  private resume = ''
  private seq = 0
  private lastBye: ByeMessage | null = null
  private lastCommand = 0
  private readonly pending = new Map<string, Pending>()
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private watchdog: ReturnType<typeof setTimeout> | undefined
  private current: SessionState = 'connecting'

  constructor(private readonly options: SessionOptions) {}

  get state(): SessionState {
    return this.current
  }

  /** Connects now; also the user's "try again" after an end, and "at once" while waiting. */
  connect(): void {
    clearTimeout(this.retryTimer)
    if (this.socket) return
    this.lastBye = null
    this.setState('connecting', 0)
    const open = this.options.open ?? ((url, protocol) => new WebSocket(url, protocol) as unknown as Socket)
    const socket = open(this.options.url, subprotocol)
    this.socket = socket
    this.watch(patience)
    socket.onopen = () => this.sendHello(socket)
    socket.onmessage = (event) => this.receive(socket, event.data)
    socket.onclose = () => this.closed(socket)
  }

  /** Sends a command. Rejects with CommandError when refused, cut or unanswered for 10 s. */
  command(command: Command): Promise<void> {
    if (!this.socket || !this.seated) {
      return Promise.reject(new CommandError('disconnected', ''))
    }
    const id = `c${++this.lastCommand}`
    this.socket.send(JSON.stringify({ ...command, id }))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id)
        reject(new CommandError('no_answer', ''))
      }, commandPatience)
      this.pending.set(id, { resolve, reject, timer })
    })
  }

  /** Gives the seat up and closes. */
  leave(): void {
    if (this.socket && this.seated) this.socket.send(JSON.stringify({ type: 'leave' }))
    this.end({ code: 'left', message: '' })
  }

  private sendHello(socket: Socket): void {
    const hello: Hello = { type: 'hello', v: protocolVersion, ...this.options.hello() }
    if (this.resume !== '') hello.resume = this.resume
    socket.send(JSON.stringify(hello))
  }

  private receive(socket: Socket, data: unknown): void {
    if (socket !== this.socket || typeof data !== 'string') return
    this.watch(this.seated ? silence : patience)
    let message: ServerMessage
    try {
      message = decode(data)
    } catch {
      // State can no longer be trusted: a new welcome brings the whole of it.
      this.drop(socket)
      return
    }
    switch (message.type) {
      case 'welcome':
        this.seated = true
        this.attempt = 0
        this.resume = message.resume
        this.seq = message.seq
        this.watch(silence)
        this.setState('open', 0)
        this.options.onWelcome(message)
        return
      case 'ping':
        socket.send(JSON.stringify({ type: 'pong', t: message.t }))
        return
      case 'event':
        if (message.seq <= this.seq) return
        if (message.seq !== this.seq + 1) {
          this.drop(socket) // one was missed
          return
        }
        this.seq = message.seq
        break
      case 'ok':
        this.settle(message.id)
        return
      case 'error':
        if (message.id !== undefined && this.settle(message.id, message)) return
        break
      case 'bye':
        this.lastBye = message
        if (finalByes.has(message.code)) this.end(message)
        return
    }
    this.options.onMessage(message)
  }

  private settle(id: string, error?: ErrorMessage): boolean {
    const pending = this.pending.get(id)
    if (!pending) return false
    this.pending.delete(id)
    clearTimeout(pending.timer)
    if (error) pending.reject(new CommandError(error.code, error.message))
    else pending.resolve()
    return true
  }

  private watch(ms: number): void {
    clearTimeout(this.watchdog)
    const socket = this.socket
    this.watchdog = setTimeout(() => {
      if (socket) this.drop(socket)
    }, ms)
  }

  /** Lets a socket go without waiting for its close handshake, which never comes on a dead line. */
  private drop(socket: Socket): void {
    socket.onopen = socket.onmessage = socket.onclose = null
    try {
      socket.close(4000, 'client')
    } catch {
      // Already closed.
    }
    this.closed(socket)
  }

  private closed(socket: Socket): void {
    if (socket !== this.socket) return
    this.socket = null
    clearTimeout(this.watchdog)
    const wasSeated = this.seated
    this.seated = false
    this.rejectPending()
    if (wasSeated || !this.options.mayRetry) {
      this.retry()
      return
    }
    this.setState('waiting', 0)
    this.options
      .mayRetry()
      .catch(() => null) // cannot be asked either: the server is away
      .then((refusal) => {
        if (this.current === 'ended' || this.socket) return
        if (refusal) this.end(refusal)
        else this.retry()
      })
  }

  private retry(): void {
    let wait = backoff(this.attempt++, (this.options.random ?? Math.random)())
    if (this.lastBye?.code === 'too_many_messages') wait = Math.max(wait, 5000)
    this.setState('waiting', wait)
    clearTimeout(this.retryTimer)
    this.retryTimer = setTimeout(() => this.connect(), wait)
  }

  private rejectPending(): void {
    for (const [id, pending] of [...this.pending]) {
      this.pending.delete(id)
      clearTimeout(pending.timer)
      pending.reject(new CommandError('disconnected', ''))
    }
  }

  private end(bye: { code: string; message: string }): void {
    if (this.current === 'ended') return
    clearTimeout(this.retryTimer)
    clearTimeout(this.watchdog)
    const socket = this.socket
    this.socket = null
    this.seated = false
    if (bye.code !== 'replaced' && bye.code !== 'meeting_full') this.resume = ''
    this.setState('ended', 0)
    this.rejectPending()
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close(1000)
    }
    this.options.onEnd(bye)
  }

  private setState(state: SessionState, nextTryInMs: number): void {
    this.current = state
    this.options.onState?.(state, nextTryInMs)
  }
}
