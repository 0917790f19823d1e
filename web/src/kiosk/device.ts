const tokenKey = 'tongxiang.kiosk.token'

/** localStorage without exceptions: policy may switch it off, and a kiosk goes on all the same. */
export const memory = {
  get(key: string): string {
    try {
      return localStorage.getItem(key) ?? ''
    } catch {
      return ''
    }
  },
  set(key: string, value: string): void {
    try {
      localStorage.setItem(key, value)
    } catch {
      // Not remembered; the next start asks the URL again.
    }
  },
}

/** The address without the token in it, and the token, if there was one. */
export function splitToken(address: string): { token: string; clean: string } {
  const url = new URL(address)
  const fragment = new URLSearchParams(url.hash.replace(/^#/, ''))
  const token = fragment.get('token') ?? url.searchParams.get('token') ?? ''
  if (token === '') return { token, clean: address }
  fragment.delete('token')
  url.searchParams.delete('token')
  url.hash = fragment.toString()
  return { token, clean: url.toString() }
}

/**
 * The device token of this kiosk; empty when the page relies on a login session. A token in the
 * address is stored and taken out of the address bar, where anybody in the room could read it.
 */
export function deviceToken(): string {
  const { token, clean } = splitToken(location.href)
  if (token === '') return memory.get(tokenKey)
  memory.set(tokenKey, token)
  history.replaceState(null, '', clean)
  return token
}

/** Headers of a request of this device. */
export function authorization(token: string): Record<string, string> {
  return token === '' ? {} : { Authorization: `Bearer ${token}` }
}
