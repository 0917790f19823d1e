import { describe, expect, it } from 'vitest'
import type { Channel } from './channel'
import { type Action, type Event, initial, limits, type State, step } from './machine'
import { sentence } from './player'
import { screen } from './screen'

const channel = (number: number, over: Partial<Channel> = {}): Channel => ({
  number,
  name: `台${number}`,
  stream: `channels/c${number}`,
  live: true,
  playable: true,
  reason: '',
  languages: [],
  ...over,
})
const three = [channel(1), channel(2), channel(3)]

/** Plays a script of events against the machine, with a clock. */
class Script {
  now = 1_000
  state: State = initial(this.now, 80)
  actions: Action[] = []

  on(event: Event, random = 0.5): this {
    const result = step(this.state, event, this.now, random)
    this.state = result.state
    this.actions = [...result.actions]
    return this
  }
  wait(ms: number): this {
    this.now += ms
    return this
  }
  playing(): this {
    return this.on({ kind: 'playing', session: this.state.session })
  }
  failed(random = 0.5, why = ''): this {
    return this.on({ kind: 'failed', session: this.state.session, why }, random)
  }
  tick(position: number, frames: number | null = null): this {
    return this.on({ kind: 'tick', position, frames })
  }
  key(kind: 'up' | 'down' | 'louder' | 'quieter' | 'ok' | 'back' | 'any' | 'quality' | 'sound'): this {
    return this.on({ kind: 'command', command: { kind } })
  }
  digit(digit: number): this {
    return this.on({ kind: 'command', command: { kind: 'digit', digit } })
  }
  opened(): string | undefined {
    return this.actions.find((a) => a.do === 'open')?.stream
  }
  screen() {
    return screen(this.state, this.now)
  }
}

const watching = (): Script => new Script().on({ kind: 'channels', channels: three }).playing()

describe('starting', () => {
  it('opens the wanted stream before the list is known', () => {
    expect(new Script().on({ kind: 'start', stream: 'channels/c2' }).opened()).toBe('channels/c2')
  })
  it('keeps that stream when the list arrives', () => {
    const s = new Script()
      .on({ kind: 'start', stream: 'channels/c2' })
      .on({ kind: 'channels', channels: three })
    expect([s.state.stream, s.opened()]).toEqual(['channels/c2', undefined])
  })
  it('opens the first live channel when nothing was wanted', () => {
    const list = [channel(1, { live: false, reason: '无信号' }), channel(2)]
    expect(new Script().on({ kind: 'channels', channels: list }).opened()).toBe('channels/c2')
  })
  it('leaves a channel that no longer exists', () => {
    const s = new Script()
      .on({ kind: 'start', stream: 'channels/gone' })
      .on({ kind: 'channels', channels: three })
    expect(s.opened()).toBe('channels/c1')
  })
  it('keeps playing when a restarted server lists nothing yet', () => {
    const s = watching().on({ kind: 'channels', channels: [] })
    expect([s.state.phase, s.actions.length]).toEqual(['playing', 0])
  })
  it('shows the slate until there is a picture, never black', () => {
    const s = new Script()
    expect(s.screen().slate?.sentence).toBe('connecting')
    s.on({ kind: 'start', stream: 'channels/c1' }).wait(5_000)
    expect(s.screen().slate?.sentence).toBe('connecting')
    s.playing()
    expect(s.screen().slate).toBeNull()
  })
  it('says that there are no channels instead of pretending to wait for one', () => {
    const s = new Script().on({ kind: 'channels', channels: [] }).wait(limits.patience)
    expect(s.screen().slate?.sentence).toBe('noChannels')
  })
})

describe('reconnecting', () => {
  it('waits 1, 2, 4, 8, 16, 30, 30 s between tries, for ever', () => {
    const s = watching()
    const waits: number[] = []
    for (let i = 0; i < 9; i++) {
      s.failed()
      waits.push(s.state.retryAt - s.now)
      s.wait(s.state.retryAt - s.now).tick(0)
      expect(s.opened()).toBe('channels/c1')
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000])
  })
  it('spreads the wait by a quarter either way', () => {
    expect(watching().failed(0).state.retryAt - 1_000).toBe(750)
    expect(watching().failed(0.999).state.retryAt - 1_000).toBe(1250)
  })
  it('does not try before its time', () => {
    const s = watching().failed().wait(999).tick(0)
    expect(s.actions).toEqual([])
  })
  it('begins again at one second after steady playing, not after a flicker', () => {
    const s = watching()
      .failed()
      .wait(1000)
      .tick(0)
      .playing()
      .wait(limits.steady - 1)
      .failed()
    expect(s.state.retryAt - s.now).toBe(2000)
    s.wait(2000).tick(0).playing().wait(limits.steady).failed()
    expect(s.state.retryAt - s.now).toBe(1000)
  })
  it('ignores what an older player still reports', () => {
    const s = watching()
    const old = s.state.session
    s.key('up').playing()
    expect(s.on({ kind: 'failed', session: old, why: '' }).state.phase).toBe('playing')
    expect(s.on({ kind: 'silenced', session: old }).state.silenced).toBe(false)
  })
  it('gives up an attempt without a picture after 15 s', () => {
    const s = new Script()
      .on({ kind: 'start', stream: 'channels/c1' })
      .wait(limits.open - 1)
      .tick(0)
    expect(s.state.phase).toBe('opening')
    expect(s.wait(1).tick(0).state.phase).toBe('waiting')
  })
  it('hurries when the server is back, and when the channel is live again', () => {
    const s = watching()
    for (let i = 0; i < 6; i++)
      s.failed()
        .wait(s.state.retryAt - s.now)
        .tick(0)
    s.failed().on({ kind: 'heartbeat', online: false, denied: false })
    expect(s.state.retryAt - s.now).toBe(30_000)
    s.on({ kind: 'heartbeat', online: true, denied: false })
    expect(s.state.retryAt - s.now).toBe(500)

    const t = watching().on({ kind: 'channels', channels: [channel(1, { live: false })] })
    for (let i = 0; i < 6; i++)
      t.failed()
        .wait(t.state.retryAt - t.now)
        .tick(0)
    t.failed().on({ kind: 'channels', channels: three })
    expect(t.state.retryAt - t.now).toBe(500)
  })
})

describe('watchdog', () => {
  it('restarts a player whose clock stands still for 4 s', () => {
    const s = watching()
      .wait(500)
      .tick(0.5)
      .wait(limits.stall - 1)
      .tick(0.5)
    expect(s.state.phase).toBe('playing')
    s.wait(1).tick(0.5)
    expect([s.state.phase, s.actions]).toEqual(['waiting', [{ do: 'close' }]])
  })
  it('restarts a decoder that hangs while the sound goes on', () => {
    const s = watching()
    for (let i = 1; i < 8; i++) s.wait(500).tick(i / 2, 12)
    expect(s.state.phase).toBe('playing')
    for (let i = 8; i < 10; i++) s.wait(500).tick(i / 2, 12)
    expect(s.state.phase).toBe('waiting')
  })
  it('does not count frames where there are none', () => {
    const s = watching()
    for (let i = 1; i < 40; i++) s.wait(500).tick(i / 2, null)
    expect(s.state.phase).toBe('playing')
  })
})

describe('never black', () => {
  it('keeps the last picture for 30 s, then shows the slate with its sentence', () => {
    const s = watching().failed()
    expect([s.screen().frozen, s.screen().slate]).toEqual([true, null])
    s.wait(limits.patience)
    expect(s.screen().notice).toBe('restoring')
    s.wait(limits.slate - limits.patience - 1)
    expect(s.screen().frozen).toBe(true)
    s.wait(1)
    expect([s.screen().frozen, s.screen().slate?.sentence]).toEqual([false, 'restoring'])
  })
  it('counts the 30 s from the last picture, not from the last try', () => {
    const s = watching().failed()
    for (let i = 0; i < 4; i++)
      s.wait(s.state.retryAt - s.now)
        .tick(0)
        .wait(5_000)
        .failed()
    expect(s.screen().slate?.sentence).toBe('restoring')
  })
  it('says why a lost channel is lost', () => {
    const s = watching().on({ kind: 'channels', channels: [channel(1, { live: false, reason: '源中断' })] })
    s.failed().wait(limits.slate)
    expect(s.screen().slate).toEqual({ sentence: 'restoring', detail: '源中断' })
  })
  it('shows the reason of a channel that cannot be played, and does not try it', () => {
    const s = watching().on({
      kind: 'channels',
      channels: [channel(1), channel(2, { playable: false, reason: '节目已加密' })],
    })
    s.key('up')
    expect(s.opened()).toBeUndefined()
    expect(s.screen().slate).toEqual({ sentence: 'cannotPlay', detail: '节目已加密' })
    s.wait(60_000).tick(0)
    expect(s.actions).toEqual([])
    expect(s.on({ kind: 'channels', channels: three }).opened()).toBe('channels/c2')
  })
  it('says that the device is not authorised', () => {
    const s = new Script().on({ kind: 'heartbeat', online: true, denied: true })
    expect(s.screen().slate?.sentence).toBe('denied')
  })
})

describe('remote control', () => {
  it('goes round the channels by up and down', () => {
    const s = watching()
    expect(s.key('up').opened()).toBe('channels/c2')
    expect(s.key('down').opened()).toBe('channels/c1')
    expect(s.key('down').opened()).toBe('channels/c3')
    expect(s.key('up').opened()).toBe('channels/c1')
  })
  it('remembers the chosen channel and shows its label for 3 s', () => {
    const s = watching().key('up')
    expect(s.actions).toContainEqual({ do: 'remember', stream: 'channels/c2' })
    expect(s.screen().label?.name).toBe('台2')
    expect(s.wait(limits.label).screen().label).toBeNull()
  })
  it('dials a number 1.5 s after the last digit', () => {
    const list = [channel(1), channel(12)]
    const s = new Script().on({ kind: 'channels', channels: list }).playing().digit(1).wait(1_400).tick(1)
    expect(s.screen().digits).toBe('1')
    s.digit(2).wait(1_499).tick(2)
    expect(s.screen().digits).toBe('12')
    expect(s.wait(1).tick(2.1).opened()).toBe('channels/c12')
    expect(s.screen().digits).toBe('')
  })
  it('dials at once by OK, and stays where it is for an unknown number', () => {
    expect(watching().digit(3).key('ok').opened()).toBe('channels/c3')
    const s = watching().digit(9).key('ok')
    expect([s.opened(), s.state.stream]).toEqual([undefined, 'channels/c1'])
    expect(s.screen().missed).toBe('9')
    expect(s.wait(limits.label).screen().missed).toBe('')
  })
  it('opens the list on the current channel, moves in it, and chooses', () => {
    const s = watching().key('up').playing().key('ok')
    expect(s.screen().list?.cursor).toBe(1)
    s.key('down')
    expect([s.screen().list?.cursor, s.state.stream]).toEqual([2, 'channels/c2'])
    expect(s.key('ok').opened()).toBe('channels/c3')
    expect(s.screen().list).toBeNull()
  })
  it('closes the list by back, and by itself', () => {
    expect(watching().key('ok').key('back').screen().list).toBeNull()
    expect(watching().key('ok').wait(limits.list).tick(1).screen().list).toBeNull()
  })
  it('does not interrupt the channel that already plays', () => {
    expect(watching().key('ok').key('ok').opened()).toBeUndefined()
  })
  it('turns the volume within 0 and 100', () => {
    const s = watching()
    for (let i = 0; i < 30; i++) s.key('louder')
    expect([s.state.volume, s.actions]).toEqual([100, [{ do: 'volume', volume: 100 }]])
    for (let i = 0; i < 30; i++) s.key('quieter')
    expect(s.state.volume).toBe(0)
  })
  it('opens the sound by any key, once', () => {
    const s = watching()
    s.on({ kind: 'silenced', session: s.state.session })
    expect(s.screen().silenced).toBe(true)
    expect(s.key('any').actions).toEqual([{ do: 'unmute' }])
    expect(s.screen().silenced).toBe(false)
    expect(s.key('any').actions).toEqual([])
  })
})

describe('reasons', () => {
  it('shows why the server refused, until something plays', () => {
    const s = new Script().on({ kind: 'start', stream: 'channels/c1' })
    s.on({ kind: 'channels', channels: three }).failed(0.5, '转码路数已满')
    expect(s.screen().slate).toEqual({ sentence: 'connecting', detail: '转码路数已满' })
    s.wait(1000).tick(0).playing().failed()
    expect(s.wait(limits.slate).screen().slate?.detail).toBe('')
  })
  it.each([
    ['{"code":"transcode_busy","detail":"转码路数已满"}', '转码路数已满'],
    ['{"detail":7}', ''],
    ['<html>', ''],
    [undefined, ''],
  ])('reads %s', (body, want) => {
    expect(sentence(body)).toBe(want)
  })
})

describe('quality and sound', () => {
  const sounds = [
    { key: 'zh', name: '普通话' },
    { key: 'bo', name: '藏语' },
  ]
  const offered = (s: Script, heard = 0): Script =>
    s.on({ kind: 'sounds', session: s.state.session, sounds, heard })

  it('goes round automatic, standard and smooth, remembers and opens anew', () => {
    const s = watching()
    const seen: string[] = []
    for (let i = 0; i < 3; i++) {
      s.key('quality')
      seen.push(s.state.quality)
      expect(s.actions[0]).toEqual({ do: 'quality', quality: s.state.quality })
      expect(s.opened()).toBe('channels/c1')
      expect(s.screen().choice).toEqual({ of: 'quality', quality: s.state.quality })
    }
    expect(seen).toEqual(['800', '350', 'auto'])
    s.wait(limits.choice)
    expect(s.screen().choice).toBeNull()
  })
  it('keeps the picture while the quality changes', () => {
    const s = watching().key('quality')
    expect(s.screen().frozen).toBe(true)
    expect(s.screen().slate).toBeNull()
  })
  it('changes the sound without a new player', () => {
    const s = offered(watching()).key('sound')
    expect(s.actions).toEqual([{ do: 'hear', index: 1, key: 'bo' }])
    expect(s.screen().choice).toEqual({ of: 'sound', sound: sounds[1] })
    expect(s.key('sound').actions).toEqual([{ do: 'hear', index: 0, key: 'zh' }])
  })
  it('says that there is only one sound', () => {
    const s = watching().key('sound')
    expect([s.actions, s.screen().choice]).toEqual([[], { of: 'sound', sound: null }])
  })
  it('hears on the next channel what was chosen on this one', () => {
    const s = offered(watching()).key('sound').key('up')
    expect(s.state.sounds).toEqual([])
    offered(s)
    expect(s.actions).toEqual([{ do: 'hear', index: 1, key: 'bo' }])
    expect(offered(s, 1).actions).toEqual([])
  })
  it('ignores the sounds of an older player', () => {
    const s = watching()
    const old = s.state.session
    s.key('up').on({ kind: 'sounds', session: old, sounds, heard: 0 })
    expect(s.state.sounds).toEqual([])
  })
  it('shows the button for the sound only where there is a choice', () => {
    const s = watching().key('ok')
    expect(s.screen().list?.sound).toBeNull()
    expect(offered(s).screen().list?.sound).toEqual(sounds[0])
  })
  it('opens anew for a player that cannot change its sound', () => {
    expect(watching().on({ kind: 'reopen' }).opened()).toBe('channels/c1')
  })
})
