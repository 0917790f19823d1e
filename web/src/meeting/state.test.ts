import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decode, type EventBody, type ServerMessage } from '../signal/protocol'
import { find, reduce, type Room } from './state'

const document = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

function example(name: string): ServerMessage {
  const body = new RegExp(`^\`\`\`json s2c ${name}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(document)?.[1]
  if (!body) throw new Error(`docs/protocol.md has no example ${name}`)
  return decode(body)
}

function seated(): Room {
  const room = reduce(null, example('welcome'))
  if (!room) throw new Error('welcome made no room')
  return room
}

function after(room: Room, ...events: EventBody[]): Room {
  let next = room
  for (const event of events) {
    const result = reduce(next, { type: 'event', seq: next.seq + 1, at: '2026-11-24T02:00:00.000Z', event })
    if (!result) throw new Error('an event removed the room')
    next = result
  }
  return next
}

describe('reduce', () => {
  it('takes the state of welcome as it is', () => {
    const room = seated()
    expect(room.you).toBe('li')
    expect(room.participants.map((p) => p.id)).toEqual(['wang', 'zhao', 'li'])
    expect(room.hands).toEqual(['zhao'])
    expect(room.screen).toBe('wang')
    expect(room.seq).toBe(19)
  })

  it('applies the events of docs/protocol.md one after the other', () => {
    let room: Room | null = seated()
    const order = [
      'joined',
      'left',
      'disconnected',
      'resumed',
      'muted',
      'unmute_requested',
      'muted_all',
      'camera',
      'screen',
      'hand',
      'chat',
      'role',
      'publishing',
      'ended',
    ]
    for (const kind of order) room = reduce(room, example(`event ${kind}`))
    if (!room) throw new Error('no room')
    expect(room.seq).toBe(33)
    expect(room.participants.map((p) => p.id)).toEqual(['wang', 'zhao', 'li'])
    expect(find(room, 'li')).toMatchObject({
      connected: true,
      role: 'chair',
      muted: true,
      muted_by_chair: false,
      camera: false,
      publishing: true,
      hand: true,
      hand_at: '2026-11-24T01:03:09.000Z',
    })
    expect(find(room, 'wang')).toMatchObject({ muted: false, screen: false })
    expect(find(room, 'zhao')).toMatchObject({ muted: true, muted_by_chair: true })
    expect(room.screen).toBe('')
    expect(room.mute_all).toBe(true)
    expect(room.hands).toEqual(['zhao', 'li'])
    expect(room.chat.at(-1)).toEqual({
      seq: 30,
      at: '2026-11-24T01:03:10.000Z',
      from: 'li',
      name: '李庄镇',
      text: '三号会场听不到声音',
    })
  })

  it('does not change the state it was given', () => {
    const room = seated()
    const before = structuredClone(room)
    after(
      room,
      { kind: 'left', participant: 'wang', reason: 'left' },
      { kind: 'muted_all', muted: true, self_unmute: true, by: 'wang' },
    )
    expect(room).toEqual(before)
  })

  it('forgets everything about who left', () => {
    const room = after(
      seated(),
      { kind: 'left', participant: 'zhao', reason: 'expired' },
      { kind: 'left', participant: 'wang', reason: 'left' },
    )
    expect(room.hands).toEqual([])
    expect(room.screen).toBe('')
    expect(room.participants.map((p) => p.id)).toEqual(['li'])
  })

  it('queues hands in the order in which they were raised', () => {
    const room = after(
      seated(),
      { kind: 'hand', participant: 'li', raised: true, by: 'li' },
      { kind: 'hand', participant: 'zhao', raised: false, by: 'wang' },
      { kind: 'hand', participant: 'zhao', raised: true, by: 'zhao' },
    )
    expect(room.hands).toEqual(['li', 'zhao'])
    const lowered = after(room, { kind: 'hand', participant: 'li', raised: false, by: 'li' })
    expect(find(lowered, 'li')).not.toHaveProperty('hand_at')
  })

  it('mutes all but chairs, and lifting it opens no microphone', () => {
    const muted = after(seated(), { kind: 'muted_all', muted: true, self_unmute: false, by: 'wang' })
    expect(find(muted, 'wang')?.muted).toBe(false)
    expect(find(muted, 'li')).toMatchObject({ muted: true, muted_by_chair: true })
    const lifted = after(muted, { kind: 'muted_all', muted: false, self_unmute: true, by: 'wang' })
    expect(find(lifted, 'li')).toMatchObject({ muted: true, muted_by_chair: false })
    expect(lifted.mute_all).toBe(false)
  })

  it('takes everything from who becomes viewer', () => {
    const room = after(
      seated(),
      { kind: 'role', participant: 'wang', role: 'viewer', by: 'li' },
      { kind: 'role', participant: 'zhao', role: 'viewer', by: 'li' },
    )
    expect(find(room, 'wang')).toMatchObject({
      role: 'viewer',
      muted: true,
      camera: false,
      screen: false,
      hand: false,
    })
    expect(room.screen).toBe('')
    expect(room.hands).toEqual([])
  })

  it('keeps the last 100 messages', () => {
    let room = seated()
    for (let i = 0; i < 120; i++)
      room = after(room, { kind: 'chat', from: 'li', name: '李庄镇', text: `${i}` })
    expect(room.chat.length).toBe(100)
    expect(room.chat.at(-1)?.text).toBe('119')
  })

  it('counts an event of an unknown kind and changes nothing else', () => {
    const room = seated()
    expect(after(room, { kind: 'unknown' })).toEqual({ ...room, seq: 20 })
  })

  it('keeps the slots over a resumed seat only', () => {
    const room = reduce(seated(), example('slots'))
    const welcome = example('welcome')
    if (welcome.type !== 'welcome') throw new Error('not a welcome')
    expect(reduce(room, { ...welcome, resumed: true })?.video.length).toBe(3)
    expect(reduce(room, { ...welcome, resumed: false })?.video).toEqual([])
  })
})
