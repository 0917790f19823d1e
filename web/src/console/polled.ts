import { onBeforeUnmount, onMounted, ref, shallowRef, type Ref } from 'vue'
import { ApiError } from '../shared/api'
import { loginAddress } from '../shared/next'

/** A list that refreshes itself. What was shown stays until something newer is there: no flicker. */
export interface Polled<T> {
  /** Null before the first answer. */
  readonly data: Ref<T | null>
  readonly error: Ref<ApiError | null>
  /** When `data` was fetched. */
  readonly at: Ref<Date>
  /** Fetches now, for instance after a change. */
  refresh(): Promise<void>
}

/**
 * Fetches on mounting and then every `interval` milliseconds after the answer, not while the page is hidden; then
 * every `hidden()` milliseconds, where that is given and not 0. Belongs to the component that calls it, and ends
 * with it.
 */
export function usePolled<T>(
  fetcher: (signal: AbortSignal) => Promise<T>,
  interval: number,
  hidden: () => number = () => 0,
): Polled<T> {
  const data = shallowRef<T | null>(null) as Ref<T | null>
  const error = shallowRef<ApiError | null>(null) as Ref<ApiError | null>
  const at = ref(new Date())
  let shown = ''
  let latest: AbortController | null = null
  let timer = 0

  async function refresh(): Promise<void> {
    latest?.abort()
    const mine = new AbortController()
    latest = mine
    clearTimeout(timer)
    try {
      const answer = await fetcher(mine.signal)
      if (mine.signal.aborted) return
      const text = JSON.stringify(answer)
      // The same answer again must not redraw a table in which somebody is about to click.
      if (text !== shown) data.value = answer
      shown = text
      at.value = new Date()
      error.value = null
    } catch (cause) {
      if (mine.signal.aborted) return
      // The session has ended: nothing here will refresh again. A form that is open keeps what was written into it.
      if (cause instanceof ApiError && cause.status === 401 && !document.querySelector('.el-dialog')) {
        location.assign(loginAddress(location.pathname + location.hash))
        return
      }
      error.value = cause instanceof ApiError ? cause : new ApiError(0, 'page.unexpected', String(cause))
    }
    timer = window.setTimeout(tick, (document.hidden && hidden()) || interval)
  }

  function tick(): void {
    if (document.hidden && hidden() === 0) timer = window.setTimeout(tick, interval)
    else void refresh()
  }

  function seen(): void {
    if (!document.hidden) void refresh()
  }

  onMounted(() => {
    document.addEventListener('visibilitychange', seen)
    void refresh()
  })
  onBeforeUnmount(() => {
    document.removeEventListener('visibilitychange', seen)
    clearTimeout(timer)
    latest?.abort()
  })
  return { data, error, at, refresh }
}
