import { describe, expect, it } from 'vitest'
import { everything, narrowed, queryOf } from './filter'
import { suggested, wordsFor } from './names'

const rows = [
  { people: ['王建国', '李秀英'], units: ['崆峒区'] },
  { people: ['王建国'], units: ['崆峒区', '静宁县'] },
  { people: ['张伟', '张伟'], units: [] },
]

describe('names to choose from', () => {
  it('offers those of most recordings first', () => {
    expect(suggested(rows, 'person', '')).toEqual(['王建国', '李秀英', '张伟'])
    expect(suggested(rows, 'unit', '')).toEqual(['崆峒区', '静宁县'])
  })
  it('finds a part of a name', () => {
    expect(suggested(rows, 'person', '王')).toEqual(['王建国'])
    expect(suggested(rows, 'person', '赵')).toEqual([])
  })
  it('trusts the server with initials of pinyin, which are in no name', () => {
    expect(suggested(rows.slice(0, 2), 'person', 'wjg')[0]).toBe('王建国')
  })
  it('offers no more than can be read', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ people: [`甲${i}`], units: [] }))
    expect(suggested(many, 'person', '')).toHaveLength(12)
  })
  it('asks the server for what it can find: two characters, or letters', () => {
    expect(['王', ' 王建 ', 'w', ''].map(wordsFor)).toEqual(['', '王建', 'w', ''])
  })
  it('becomes a part of the query', () => {
    const filter = { ...everything(), person: '王建国', unit: '崆峒区' }
    expect(Object.fromEntries(queryOf(filter))).toEqual({ person: '王建国', unit: '崆峒区' })
    expect(narrowed(filter)).toBe(true)
  })
})
