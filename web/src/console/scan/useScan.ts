import { onBeforeUnmount, ref, shallowRef, type Ref } from 'vue'
import { ApiError } from '../../shared/api'
import { server } from '../api'
import type { Scan } from './scan'

/** How often a running scan is looked at, in ms. */
const interval = 700

export interface Scanning {
  readonly scan: Ref<Scan | null>
  readonly error: Ref<ApiError | null>
  /** From the click until the server took it. */
  readonly starting: Ref<boolean>
  start(source: string, seconds: number): Promise<void>
  cancel(): Promise<void>
}

/** One scan at a time. It is cancelled when the component goes, so that no socket stays open for nobody. */
export function useScan(language: () => string): Scanning {
  const scan = shallowRef<Scan | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const starting = ref(false)
  let timer = 0
  let round = 0

  async function look(id: string, mine: number): Promise<void> {
    try {
      const found = await server.scan(id, language())
      if (mine !== round) return
      scan.value = found
      error.value = null
      if (found.state !== 'running') return
    } catch (cause) {
      if (mine !== round) return
      error.value = asError(cause)
      // The scan goes on while the line is cut; one that the server does not know any more is over.
      if (error.value.status === 404) {
        scan.value = scan.value && { ...scan.value, state: 'done' }
        return
      }
    }
    timer = window.setTimeout(() => void look(id, mine), interval)
  }

  async function start(source: string, seconds: number): Promise<void> {
    const mine = ++round
    clearTimeout(timer)
    error.value = null
    scan.value = null
    starting.value = true
    try {
      const begun = await server.startScan(source, seconds, language())
      if (mine !== round) return
      scan.value = begun
      timer = window.setTimeout(() => void look(begun.id, mine), interval)
    } catch (cause) {
      if (mine === round) error.value = asError(cause)
    } finally {
      if (mine === round) starting.value = false
    }
  }

  async function cancel(): Promise<void> {
    round++
    clearTimeout(timer)
    const running = scan.value
    if (running?.state !== 'running') return
    scan.value = { ...running, state: 'cancelled' }
    // Gone already or out of reach: the server ends it by itself.
    await server.cancelScan(running.id).catch(() => undefined)
  }

  onBeforeUnmount(() => void cancel())
  return { scan, error, starting, start, cancel }
}

function asError(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : new ApiError(0, 'page.unexpected', String(cause))
}
