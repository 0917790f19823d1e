import { describe, expect, it } from 'vitest'
import consoleEn from '../console/locales/en'
import consoleZh from '../console/locales/zh'
import homeEn from '../home/locales/en'
import homeZh from '../home/locales/zh'
import meetingEn from '../meeting/locales/en'
import meetingZh from '../meeting/locales/zh'
import type { Messages } from './i18n'

function flat(messages: Messages, prefix = ''): Map<string, string> {
  const result = new Map<string, string>()
  for (const [key, value] of Object.entries(messages)) {
    if (typeof value === 'string') result.set(prefix + key, value)
    else for (const [inner, text] of flat(value, `${prefix}${key}.`)) result.set(inner, text)
  }
  return result
}
const variables = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort()

describe.each([
  ['home', homeZh, homeEn],
  ['meeting', meetingZh, meetingEn],
  ['console', consoleZh, consoleEn],
])('the sentences of %s', (_, zh, en) => {
  const chinese = flat(zh)
  const english = flat(en)
  it('exist in both languages', () => {
    expect([...english.keys()].sort()).toEqual([...chinese.keys()].sort())
  })
  it('have the same variables', () => {
    for (const [key, text] of chinese) expect(variables(english.get(key) ?? ''), key).toEqual(variables(text))
  })
  it('are Chinese and English', () => {
    for (const [key, text] of english) expect(/[\u4e00-\u9fff]/.test(text), key).toBe(false)
  })
})
