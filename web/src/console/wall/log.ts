import { type Ref, shallowRef, watch } from 'vue'
import { type AlarmKind, occurrence, type Watched } from './alarms'

/** An alarm from its begin to its end, as this wall saw it. */
export interface Logged {
  readonly key: string
  readonly id: string
  readonly name: string
  readonly kind: AlarmKind
  /** Milliseconds of the epoch. */
  readonly from: number
  /** Null while it lasts. */
  readonly until: number | null
}

const storageKey = 'tongxiang.wall.log'
/** The oldest go first; half a megabyte at the very most. */
export const kept = 1_000

/** The log after another look at the channels, newest first. Returns the same list when nothing began or ended. */
export function advance(
  log: readonly Logged[],
  channels: readonly Watched[],
  now: number,
): readonly Logged[] {
  const lasting = new Map<string, Logged>()
  for (const channel of channels) {
    for (const alarm of channel.alarms) {
      const key = occurrence(channel.id, alarm)
      const { id, name } = channel
      lasting.set(key, { key, id, name, kind: alarm.kind, from: alarm.since?.getTime() ?? now, until: null })
    }
  }
  let changed = false
  const old = log.map((entry) => {
    const lasts = lasting.delete(entry.key)
    if (lasts === (entry.until === null)) return entry
    changed = true
    return { ...entry, until: lasts ? null : now }
  })
  if (!changed && lasting.size === 0) return log
  const begun = [...lasting.values()].sort((a, b) => b.from - a.from)
  return [...begun, ...old].slice(0, kept)
}

function stored(): Logged[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]')
    return Array.isArray(value) ? (value as Logged[]).filter((e) => typeof e?.key === 'string') : []
  } catch {
    return []
  }
}

/** Keeps the log of this machine's wall over reloads of the page. */
export function useAlarmLog(channels: Ref<readonly Watched[] | null>, at: Ref<Date>): Ref<readonly Logged[]> {
  const log = shallowRef<readonly Logged[]>(stored())
  watch(channels, (now) => {
    if (now === null) return
    const next = advance(log.value, now, at.value.getTime())
    if (next === log.value) return
    log.value = next
    try {
      localStorage.setItem(storageKey, JSON.stringify(next))
    } catch {
      // Full or switched off: the log lasts as long as the page.
    }
  })
  return log
}
