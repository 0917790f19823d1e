import { describe, expect, it } from 'vitest'
import { loginAddress, safeNext } from './next'

describe('safeNext', () => {
  it.each([
    ['', '/'],
    ['?next=%2Fmeetings%2F42%3Fautojoin%3D1', '/meetings/42?autojoin=1'],
    ['?next=https%3A%2F%2Fevil', '/'],
    ['?next=%2F%2Fevil', '/'],
    ['?next=%2F%5Cevil', '/'],
    ['?next=javascript%3A1', '/'],
    ['?next=%2Flogin', '/'],
  ])('%s leads to %s', (search, want) => {
    expect(safeNext(search)).toBe(want)
  })

  it('is undone by loginAddress', () => {
    const path = '/meetings/42?a=1&b=2'
    expect(safeNext(new URL(loginAddress(path), 'http://x').search)).toBe(path)
  })
})
