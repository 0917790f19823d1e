import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decode, DecodeError } from './protocol'

interface Example {
  direction: string
  name: string
  body: string
}

function examples(): Example[] {
  const document = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')
  return [...document.matchAll(/^```json (c2s|s2c) ([^\n]+)\n([\s\S]*?)^```/gm)].map((match) => ({
    direction: match[1] ?? '',
    name: match[2]?.trim() ?? '',
    body: match[3] ?? '',
  }))
}

describe('decode', () => {
  const served = examples().filter((example) => example.direction === 's2c')

  it('finds the examples of docs/protocol.md', () => {
    expect(served.length).toBeGreaterThan(20)
  })

  for (const [index, example] of served.entries()) {
    it(`reads example ${index}, ${example.name}, without losing a field`, () => {
      const message = decode(example.body)
      const [type, kind] = example.name.split(' ')
      expect(message.type).toBe(type)
      if (message.type === 'event') expect(message.event.kind).toBe(kind)
      expect(message).toEqual(JSON.parse(example.body))
    })
  }

  it('takes a type or an event kind of a newer server as unknown', () => {
    expect(decode('{"type":"weather","rain":true}')).toEqual({ type: 'unknown' })
    expect(decode('{"type":"event","seq":3,"at":"2026-11-24T01:00:00Z","event":{"kind":"vote"}}')).toEqual({
      type: 'event',
      seq: 3,
      at: '2026-11-24T01:00:00Z',
      event: { kind: 'unknown' },
    })
  })

  it('takes null as an empty list', () => {
    expect(decode('{"type":"slots","video":null,"audio":null}')).toEqual({
      type: 'slots',
      video: [],
      audio: [],
    })
  })

  for (const bad of [
    '',
    'x',
    'null',
    '[]',
    '3',
    '{}',
    '{"type":3}',
    '{"type":"ping"}',
    '{"type":"ping","t":"1"}',
    '{"type":"slots","video":{},"audio":[]}',
    '{"type":"slots","video":[{"slot":"0","mid":"0"}],"audio":[]}',
    '{"type":"welcome","v":1}',
    '{"type":"event","seq":1,"at":"x","event":{"kind":"joined"}}',
    '{"type":"event","seq":1,"at":"x","event":{"kind":"muted","participant":"li","muted":"yes"}}',
  ]) {
    it(`refuses ${bad || 'an empty frame'}`, () => {
      expect(() => decode(bad)).toThrow(DecodeError)
    })
  }
})

describe('what the page sends', () => {
  it('uses only commands that docs/protocol.md shows', () => {
    const shown = new Set(
      examples()
        .filter((example) => example.direction === 'c2s')
        .map((example) => (JSON.parse(example.body) as { type: string }).type),
    )
    const sent = [
      'hello',
      'pong',
      'mute',
      'mute_all',
      'camera',
      'screen',
      'hand',
      'chat',
      'view',
      'role',
      'media',
      'leave',
      'end',
    ]
    expect(sent.filter((type) => !shown.has(type))).toEqual([])
  })
})
