import { expect, test } from 'vitest'
import { find } from './find'

const rows = ['李庄村文化广场', '李庄镇广播站 TV-2', '王家村 ＴＶ-1'].map((name) => ({ name }))
const found = (asked: string): string[] => find(rows, asked).map((row) => row.name)

test('nothing asked for finds all, in their order', () => {
  expect(find(rows, ' \u3000 ')).toBe(rows)
})

test('every word must be there, in any order, whatever its case and width', () => {
  expect(found('李庄')).toEqual(['李庄村文化广场', '李庄镇广播站 TV-2'])
  expect(found('广播 李庄')).toEqual(['李庄镇广播站 TV-2'])
  expect(found('tv-')).toEqual(['李庄镇广播站 TV-2', '王家村 ＴＶ-1'])
  expect(found('ｔｖ－1')).toEqual(['王家村 ＴＶ-1'])
  expect(found('李庄 王家')).toEqual([])
})
