import { problemOf } from '../../shared/api'
import { storedLanguage } from '../../shared/i18n'
import { showError } from '../act'

/** The name that a server gives a file: filename*=UTF-8''… (RFC 6266). */
export function fileName(disposition: string | null): string {
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? '')?.[1]
  if (coded === undefined) return ''
  try {
    return decodeURIComponent(coded)
  } catch {
    return ''
  }
}

/**
 * Saves a file of the server. A link would do it in the browser's language; a list's headings are wanted in the
 * page's. Errors are shown.
 */
export async function download(path: string, otherwise: string): Promise<void> {
  try {
    const answer = await fetch(path, {
      headers: { 'Accept-Language': storedLanguage() },
      credentials: 'same-origin',
    })
    if (!answer.ok) throw await problemOf(answer)
    const url = URL.createObjectURL(await answer.blob())
    const link = document.createElement('a')
    link.href = url
    link.download = fileName(answer.headers.get('Content-Disposition')) || otherwise
    link.click()
    setTimeout(() => URL.revokeObjectURL(url), 60_000)
  } catch (cause) {
    showError(cause)
  }
}
