// The keys of the player. J, K and L are those of cutting desks; the rest is what people know of other players.

export type Action =
  | { do: 'toggle' }
  | { do: 'skip'; seconds: number }
  | { do: 'to'; part: number }
  | { do: 'faster'; step: 1 | -1 }
  | { do: 'louder'; step: 1 | -1 }
  | { do: 'mute' }
  | { do: 'full' }
  | { do: 'chapter'; step: 1 | -1 }
  | { do: 'mark'; end: 'in' | 'out' }

export interface Press {
  readonly key: string
  readonly ctrlKey?: boolean
  readonly metaKey?: boolean
  readonly altKey?: boolean
}

const plain: Readonly<Record<string, Action>> = {
  ' ': { do: 'toggle' },
  k: { do: 'toggle' },
  j: { do: 'skip', seconds: -10 },
  l: { do: 'skip', seconds: 10 },
  ArrowLeft: { do: 'skip', seconds: -5 },
  ArrowRight: { do: 'skip', seconds: 5 },
  ArrowUp: { do: 'louder', step: 1 },
  ArrowDown: { do: 'louder', step: -1 },
  Home: { do: 'to', part: 0 },
  End: { do: 'to', part: 1 },
  '<': { do: 'faster', step: -1 },
  '>': { do: 'faster', step: 1 },
  m: { do: 'mute' },
  f: { do: 'full' },
  n: { do: 'chapter', step: 1 },
  p: { do: 'chapter', step: -1 },
  i: { do: 'mark', end: 'in' },
  o: { do: 'mark', end: 'out' },
}

/** What a key does; null: it is the browser's. */
export function actionOf(press: Press): Action | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key
  if (/^[0-9]$/.test(key)) return { do: 'to', part: Number(key) / 10 }
  return plain[key] ?? null
}

/** Whether a key belongs to what has the focus: somebody types, or walks through a menu. */
export function taken(target: { tagName: string; role: string; type: string }, key: string): boolean {
  if (/^(TEXTAREA|SELECT)$/.test(target.tagName)) return true
  if (target.tagName === 'INPUT') return target.type !== 'range' || key.startsWith('Arrow')
  if (/^(BUTTON|A)$/.test(target.tagName)) return key === ' ' || key === 'Enter'
  return /^(listbox|option|menu|dialog|textbox|combobox)$/.test(target.role)
}

export const speeds = [0.5, 0.75, 1, 1.25, 1.5, 2] as const

/** The speed that is next in a direction. */
export function nextSpeed(speed: number, step: 1 | -1): number {
  const at = speeds.findIndex((s) => s === speed)
  return speeds[Math.max(0, Math.min(speeds.length - 1, (at < 0 ? speeds.indexOf(1) : at) + step))] ?? 1
}
