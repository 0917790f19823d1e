import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import en from '../locales/plan.en'
import zh from '../locales/plan.zh'
import { codes, notesOf, programmeOf } from './programme'

const cause = (code: string) => ({ code, en: `${code} in English`, zh: `${code} 中文` })
const notes = (row: object, language = 'zh-CN') => notesOf(programmeOf(row)!, language)

describe('why a programme is as it is', () => {
  it('says nothing where all is well, or nobody watches', () => {
    expect(programmeOf(undefined)).toBeNull()
    expect(programmeOf('x')).toBeNull()
    expect(notes({ participant: 'li', transcoded: false })).toEqual([])
    expect(notes({ reason: 7, sound_reason: [] })).toEqual([])
  })
  it('knows what is transcoded, and what cannot be', () => {
    expect(notes({ transcoded: true })).toEqual([{ code: 'transcoded', serious: false }])
    expect(notes({ transcoded: false, reason: cause('picture_transcode_busy') })).toEqual([
      { code: 'picture_transcode_busy', serious: true },
    ])
  })
  it('says both of picture and sound', () => {
    expect(
      notes({ reason: cause('picture_needs_ffmpeg'), sound_reason: cause('sound_needs_ffmpeg') }),
    ).toHaveLength(2)
  })
  it("shows the server's own words of a code that is not known here", () => {
    expect(notes({ reason: cause('moon_phase') })).toEqual([{ said: 'moon_phase 中文' }])
    expect(notes({ reason: cause('moon_phase') }, 'en')).toEqual([{ said: 'moon_phase in English' }])
    expect(notes({ sound_reason: { code: 'only_a_code' } })).toEqual([{ said: 'only_a_code' }])
  })
  it('has a sentence and what to do for each code, in both languages', () => {
    for (const words of [zh.programme, en.programme]) {
      expect(Object.keys(words.why).sort()).toEqual([...codes].sort())
      expect(Object.keys(words.todo).sort()).toEqual([...codes].sort())
    }
  })
  it('knows every code that the server has', () => {
    const root = new URL('../../../../internal/', import.meta.url)
    const files = ['programme/made.go', 'programme/sound.go', 'transcode/onair.go']
    const has = files.flatMap((file) =>
      [...readFileSync(new URL(file, root), 'utf8').matchAll(/apierr\.New\([\w.]+, "(\w+)"/g)].map(
        (m) => m[1],
      ),
    )
    expect(has.length).toBeGreaterThan(4)
    expect(codes).toEqual(expect.arrayContaining(has))
  })
})
