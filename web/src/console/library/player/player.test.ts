import { describe, expect, it, vi } from 'vitest'
import { recordingOf } from '../recording'
import { chapterAt, exact, labelLeft, meantAt, percent, readTime, timeAt } from './bar'
import { atOrAfter, atOrBefore, keyTimes, moved, segmentStarts, widened } from './cut'
import { behind, gapAhead, gapAt, missing } from './gaps'
import { actionOf, nextSpeed, taken } from './keys'
import { lowFirst } from './playback'
import { Position, resumeAt } from './resume'
import { codecsOf, joined, wayOf } from './ways'

const gaps = [
  { from: 10, to: 15, reason: 'disk_full' },
  { from: 58, to: 60, reason: 'no_signal' },
]

describe('gaps', () => {
  it.each([
    [9.99, null],
    [10, 10],
    [14.9, 10],
    [15, null],
  ])('at %d s', (at, from) => expect(gapAt(gaps, at)?.from ?? null).toBe(from))
  it('is run into only by a player that waits where the buffer ends at it', () => {
    expect(gapAhead(gaps, 9.6, true, 9.95)?.from).toBe(10)
    expect(gapAhead(gaps, 9.6, false, 9.95)).toBeNull() // it still plays
    expect(gapAhead(gaps, 9.2, true, 9.25)).toBeNull() // the line is slow: pictures before it are to come
    expect(gapAhead(gaps, 9.6, true, 0)).toBeNull() // nothing is here yet
    expect(gapAhead(gaps, 9.6, true, 20)).toBeNull() // the other side is here too
  })
  it('is left at once by a player that was put into it', () => {
    expect(gapAhead(gaps, 12, false, 0)?.from).toBe(10)
  })
  it('has nothing behind it at the end', () => {
    expect(behind(gaps[0]!, 60)).toBeCloseTo(15.05)
    expect(behind(gaps[1]!, 60)).toBeNull()
  })
  it('adds up', () => expect(missing(gaps)).toBe(7))
})

describe('the seek bar', () => {
  it.each([
    [-5, 0],
    [0, 0],
    [250, 30],
    [1000, 60],
  ])('%d px are %d s', (x, at) => expect(timeAt(x, 500, 60)).toBe(at))
  it('has no time without a length', () => {
    expect(timeAt(5, 0, 60)).toBe(0)
    expect(percent(5, 0)).toBe(0)
  })
  it('means the chapter whose mark is near', () => {
    const chapters = [0, 30, 31, 50].map((at) => ({ at, kind: '', title: '', who: '' }))
    expect([248, 254, 259, 300].map((x) => meantAt(x, 500, 60, chapters))).toEqual([30, 30, 31, 36])
    expect(meantAt(100, 500, 60, [])).toBe(12)
    expect(meantAt(5, 0, 60, chapters)).toBe(0)
  })
  it('keeps its label over the bar', () => {
    expect([labelLeft(0, 190, 500), labelLeft(250, 190, 500), labelLeft(500, 190, 500)]).toEqual([
      0, 155, 310,
    ])
    expect(labelLeft(50, 190, 100)).toBe(0)
  })
  it('knows the chapter of a time', () => {
    const chapters = [0, 10, 20].map((at) => ({ at, kind: '', title: '', who: '' }))
    expect([chapterAt(chapters, 5), chapterAt(chapters, 9.9), chapterAt(chapters, 99)]).toEqual([0, 1, 2])
    expect(chapterAt([], 5)).toBe(-1)
  })
  it.each([
    [0, '0:00.0'],
    [62.34, '1:02.3'],
    [59.96, '1:00.0'],
    [3723.5, '1:02:03.5'],
  ])('%d s to the tenth', (at, words) => expect(exact(at)).toBe(words))
  it.each([
    ['90', 90],
    ['1:30', 90],
    [' 1:02:03.5 ', 3723.5],
    ['1：30', 90], // typed with a Chinese keyboard
    ['', null],
    ['1:xx', null],
    ['-5', null],
    ['1:2:3:4', null],
  ])('reads %s', (words, at) => expect(readTime(words)).toBe(at))
})

describe('keys', () => {
  it.each([
    [' ', { do: 'toggle' }],
    ['K', { do: 'toggle' }],
    ['j', { do: 'skip', seconds: -10 }],
    ['l', { do: 'skip', seconds: 10 }],
    ['ArrowRight', { do: 'skip', seconds: 5 }],
    ['5', { do: 'to', part: 0.5 }],
    ['o', { do: 'mark', end: 'out' }],
    ['x', null],
    ['Tab', null],
  ])('%s', (key, action) => expect(actionOf({ key })).toEqual(action))
  it('leaves the browser its own', () => {
    expect(actionOf({ key: 'f', ctrlKey: true })).toBeNull()
    expect(actionOf({ key: 'ArrowLeft', altKey: true })).toBeNull()
  })
  it('leaves a field its letters, a button its space, and a slider its arrows', () => {
    const target = (tagName: string, type = '', role = '') => ({ tagName, type, role })
    expect(taken(target('INPUT', 'text'), 'k')).toBe(true)
    expect(taken(target('SELECT'), ' ')).toBe(true)
    expect(taken(target('BUTTON'), ' ')).toBe(true)
    expect(taken(target('BUTTON'), 'k')).toBe(false)
    expect(taken(target('INPUT', 'range'), 'ArrowUp')).toBe(true)
    expect(taken(target('INPUT', 'range'), 'k')).toBe(false)
    expect(taken(target('DIV', '', 'slider'), 'ArrowLeft')).toBe(false) // the bar's arrows are the player's
    expect(taken(target('BODY'), ' ')).toBe(false)
  })
  it('steps through the speeds and stops at the ends', () => {
    expect([nextSpeed(1, 1), nextSpeed(2, 1), nextSpeed(0.5, -1), nextSpeed(3, 1)]).toEqual([
      1.25, 2, 0.5, 1.25,
    ])
  })
})

describe('going on where one stopped', () => {
  it.each([
    [0, 0],
    [5, 0], // hardly begun
    [100, 100],
    [595, 0], // seen to the end
    [700, 0], // it has become shorter
  ])('from %d s of 600', (position, at) => expect(resumeAt(position, 600)).toBe(at))

  it('tells the server now and then, and at the end', async () => {
    const save = vi.fn(async () => true)
    const position = new Position('a', 100, save, null)
    position.at(101)
    position.at(104)
    expect(save).not.toHaveBeenCalled()
    position.at(106)
    position.at(107)
    position.at(107, true)
    expect(save.mock.calls).toEqual([
      ['a', 106],
      ['a', 107],
    ])
  })
  it('keeps it in this browser where the server does not', async () => {
    const kept = new Map<string, string>()
    const local = {
      getItem: (k: string) => kept.get(k) ?? null,
      setItem: (k: string, v: string) => void kept.set(k, v),
    }
    const save = vi.fn(async () => false)
    const position = new Position('a', 0, save, local)
    position.at(42)
    await Promise.resolve()
    await Promise.resolve()
    expect(Position.local('a', local)).toBe(42)
    position.at(99)
    expect(save).toHaveBeenCalledOnce()
    expect(Position.local('a', local)).toBe(99)
    expect(Position.local('b', local)).toBe(0)
  })
})

describe('a cut', () => {
  const keys = keyTimes([8, 0, 4, 12, 12, NaN])
  it('knows the key frames around a point', () => {
    expect(keys).toEqual([0, 4, 8, 12])
    expect([atOrBefore(keys, 3.9), atOrBefore(keys, 4), atOrBefore(keys, 99)]).toEqual([0, 4, 12])
    expect([atOrAfter(keys, 4.1, 15), atOrAfter(keys, 8, 15), atOrAfter(keys, 13, 15)]).toEqual([8, 8, 15])
  })
  it('is widened to key frames, so that all that was asked for is in it', () => {
    expect(widened({ from: 5, to: 9 }, keys, 15)).toEqual({ from: 4, to: 12 })
    expect(widened({ from: 5, to: 9 }, [], 15)).toEqual({ from: 5, to: 9 })
  })
  it('knows them from a playlist, without what is missing', () => {
    const list =
      '#EXTM3U\n#EXTINF:4.0,\n#EXT-X-BYTERANGE:10@0\n../file\n#EXTINF:3.5,\n#EXT-X-GAP\n../file\n#EXTINF:4,\n../file\n#EXT-X-ENDLIST\n'
    expect(segmentStarts(list)).toEqual([0, 7.5])
    expect(segmentStarts('<html>')).toEqual([0]) // a line that is no tag: harmless
    expect(segmentStarts('')).toEqual([])
  })
  it('never ends before it begins', () => {
    expect(moved({ from: 2, to: 5 }, 'in', 9, 15)).toEqual({ from: 9, to: 10 })
    expect(moved({ from: 8, to: 12 }, 'out', 3, 15)).toEqual({ from: 2, to: 3 })
    expect(moved({ from: 8, to: 12 }, 'in', 99, 15)).toEqual({ from: 14, to: 15 })
    expect(moved({ from: 8, to: 12 }, 'out', -3, 15)).toEqual({ from: 0, to: 1 })
  })
})

describe('a jump', () => {
  it.each([
    [16e6, 2e6, true], // four seconds of 4 Mbit/s over a thin line
    [2e6, 2e6, true],
    [16e6, 100e6, false], // in the house
    [16e6, NaN, true], // nothing is known of the line yet
  ])('%d bits over %d bit/s begin in low quality: %s', (segment, line, low) =>
    expect(lowFirst(segment, line)).toBe(low),
  )
})

describe('what a browser plays of a recording', () => {
  const chromium = (type: string): boolean => /avc1|mp4a|opus|mpeg/.test(type)
  const of = (...codecs: [kind: string, codec: string, stream?: string][]) =>
    recordingOf(
      { tracks: codecs.map(([kind, codec, stream]) => ({ kind, codec, stream: stream ?? 'channels/a' })) },
      'en',
    )
  it.each([
    ['all', of(['video', 'H264'], ['audio', 'AAC'])],
    ['all', of(['audio', 'Opus'])],
    ['all', of(['video', 'H264'], ['audio', 'AC-3'], ['audio', 'AAC'])],
    ['all', of()], // of before tracks were noted: it is tried
    ['all', of(['video', 'H264'], ['audio', 'MP2'])], // the decoder of MP3 knows layer II
    ['silent', of(['video', 'H264'], ['audio', 'AC-3'])],
    ['none', of(['video', 'MPEG-2'], ['audio', 'MP2'], ['other', 'teletext'])],
    ['none', of(['video', 'H265'], ['audio', 'AAC'])],
    ['none', of(['audio', 'AC-3'])],
    ['none', of(['video', 'MPEG-2'], ['video', 'H264', 'meetings/m/site'])], // sites are files of their own
  ])('%s', (way, recording) => expect(wayOf(recording, chromium)).toBe(way))
  it('changes between qualities in one go only where both have the same tracks', () => {
    const mp4 = (...tracks: [string, string][]) => joined({ ...of(...tracks), format: 'fmp4' })
    expect(mp4(['video', 'H264'], ['audio', 'AAC'])).toBe(true)
    expect(mp4(['video', 'H264'])).toBe(true)
    expect(mp4(['video', 'H264'], ['audio', 'Opus'])).toBe(false)
    expect(mp4(['video', 'H264'], ['audio', 'AAC'], ['audio', 'AAC'])).toBe(false)
    expect(mp4()).toBe(false)
    expect(joined({ ...of(['video', 'H264'], ['audio', 'AAC']), format: 'ts' })).toBe(false)
  })
  it('plays HEVC where the browser does', () =>
    expect(wayOf(of(['video', 'H265'], ['audio', 'AAC']), () => true)).toBe('all'))
  it('names the codecs', () => {
    const old = of(['video', 'MPEG-2'], ['audio', 'MP2'], ['audio', 'MP2'], ['other', 'teletext'])
    expect(codecsOf(old, '')).toEqual(['MPEG-2', 'MP2'])
    expect(codecsOf(old, 'audio')).toEqual(['MP2'])
  })
})
