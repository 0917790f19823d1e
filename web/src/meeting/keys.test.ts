import { describe, expect, it } from 'vitest'
import { controlOf, keys, type KeyPress } from './keys'

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  repeat: false,
  element: 'BODY',
  editable: false,
  ...more,
})

describe('controlOf', () => {
  it('knows a key for each control, in small and capital letters', () => {
    for (const [key, control] of Object.entries(keys)) {
      expect(controlOf(press(key))).toBe(control)
      expect(controlOf(press(key.toUpperCase()))).toBe(control)
    }
  })
  it('leaves typing alone, but lets Escape out of a field', () => {
    for (const element of ['INPUT', 'TEXTAREA', 'SELECT']) {
      expect(controlOf(press('m', { element }))).toBeNull()
      expect(controlOf(press('Escape', { element }))).toBe('escape')
    }
    expect(controlOf(press('m', { editable: true }))).toBeNull()
  })
  it('leaves shortcuts of the browser and held keys alone', () => {
    for (const more of [{ ctrlKey: true }, { altKey: true }, { metaKey: true }, { repeat: true }]) {
      expect(controlOf(press('s', more))).toBeNull()
    }
    expect(controlOf(press('x'))).toBeNull()
  })
})
