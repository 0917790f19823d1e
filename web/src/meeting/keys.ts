/** One key for each control of the room. Pure. */

export type Control = 'mute' | 'camera' | 'screen' | 'hand' | 'chat' | 'people' | 'escape'

export const keys: Readonly<Record<string, Control>> = {
  m: 'mute',
  v: 'camera',
  s: 'screen',
  h: 'hand',
  c: 'chat',
  p: 'people',
  escape: 'escape',
}

export interface KeyPress {
  key: string
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
  repeat: boolean
  /** Name of the element that has the focus, upper case. */
  element: string
  editable: boolean
}

/** The control a key press means, or null. Letters that somebody types into a field mean nothing here. */
export function controlOf(press: KeyPress): Control | null {
  if (press.ctrlKey || press.altKey || press.metaKey || press.repeat) return null
  const control = keys[press.key.toLowerCase()] ?? null
  if (control === 'escape') return control
  if (
    press.editable ||
    press.element === 'INPUT' ||
    press.element === 'TEXTAREA' ||
    press.element === 'SELECT'
  ) {
    return null
  }
  return control
}
