import { reactive, watch } from 'vue'
import { type Order } from './alarms'

const key = 'tongxiang.wall'

export interface Preferences {
  order: Order
  sound: boolean
}

/** How this machine likes its wall. The wall in the duty room starts as it was left. */
export function usePreferences(): Preferences {
  const kept = reactive<Preferences>({ order: 'fixed', sound: false, ...stored() })
  watch(kept, (now) => {
    try {
      localStorage.setItem(key, JSON.stringify(now))
    } catch {
      // Not remembered; the page still does as told.
    }
  })
  return kept
}

function stored(): Partial<Preferences> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '{}')
    if (typeof value !== 'object' || value === null) return {}
    const { order, sound } = value as Record<string, unknown>
    return { order: order === 'alarms' ? 'alarms' : 'fixed', sound: sound === true }
  } catch {
    return {} // storage switched off, or written by something else
  }
}
