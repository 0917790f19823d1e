import { expect, test } from 'vitest'
import { find, ordered } from './find'

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

const kiosk = (name: string, created: number, seen: number | null) => ({
  name,
  created: new Date(created),
  seen: seen === null ? null : new Date(seen),
})

test('kiosks stand by name with numbers as numbers, by the time unseen, or by when they were added', () => {
  const kiosks = [
    kiosk('柳湖镇10号', 30, 500),
    kiosk('柳湖镇9号', 10, 700),
    kiosk('李庄村', 20, null),
    kiosk('安口镇', 30, null),
  ]
  const names = (order: 'name' | 'unseen' | 'added') => ordered(kiosks, order).map((row) => row.name)
  expect(names('name')).toEqual(['安口镇', '李庄村', '柳湖镇9号', '柳湖镇10号'])
  expect(names('unseen')).toEqual(['安口镇', '李庄村', '柳湖镇10号', '柳湖镇9号'])
  expect(names('added')).toEqual(['安口镇', '柳湖镇10号', '李庄村', '柳湖镇9号'])
  expect(kiosks[0]?.name).toBe('柳湖镇10号')
})
