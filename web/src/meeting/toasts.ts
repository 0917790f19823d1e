/** Sentences for the user that go by themselves. */
import { ref } from 'vue'
import { CommandError } from '../signal/session'
import { problemOf, type DeviceKind } from './devices'

export interface Toast {
  id: number
  text: string
  kind: 'info' | 'error'
}

export type Translate = (key: string, values?: Record<string, unknown>) => string
export type Toasts = ReturnType<typeof useToasts>

const toastTime = 6000

export function useToasts(t: Translate) {
  const toasts = ref<Toast[]>([])
  let last = 0

  function toast(text: string, kind: Toast['kind'] = 'info'): void {
    const id = ++last
    toasts.value = [...toasts.value.slice(-3), { id, text, kind }]
    setTimeout(() => (toasts.value = toasts.value.filter((x) => x.id !== id)), toastTime)
  }

  function complain(error: unknown): void {
    if (!(error instanceof CommandError)) {
      toast(t('error.other', { message: error instanceof Error ? error.message : String(error) }), 'error')
    } else if (error.code === 'disconnected' || error.code === 'no_answer')
      toast(t(`error.${error.code}`), 'error')
    else toast(error.message || t('error.other', { message: error.code }), 'error')
  }

  function complainDevice(kind: DeviceKind, error: unknown): void {
    toast(t(`device.${problemOf(error)}`, { what: t(`device.${kind}`) }), 'error')
  }

  return { toasts, toast, complain, complainDevice }
}
