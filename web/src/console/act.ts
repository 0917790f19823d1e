import { ElMessage, ElMessageBox } from 'element-plus'
import { ApiError } from '../shared/api'
import { copied } from '../shared/copy'

/** Shows an error as the server said it, long enough to be read. */
export function showError(cause: unknown): void {
  const fields = cause instanceof ApiError ? cause.fields.map((f) => f.message) : []
  const message = [cause instanceof Error ? cause.message : String(cause), ...fields].join(' ')
  ElMessage({ type: 'error', message, duration: 8_000, showClose: true })
}

/** Does one thing for the user and says how it went. Returns whether it went well. */
export async function attempt(what: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await what()
  } catch (cause) {
    showError(cause)
    return false
  }
  ElMessage({ type: 'success', message: done })
  return true
}

/** Asks before something that cannot be undone. The safe answer has the focus. */
export async function confirm(title: string, text: string, yes: string, no: string): Promise<boolean> {
  try {
    await ElMessageBox.confirm(text, title, {
      confirmButtonText: yes,
      cancelButtonText: no,
      confirmButtonClass: 'el-button--danger',
      autofocus: false,
      closeOnClickModal: false,
    })
    return true
  } catch {
    return false // closed or cancelled
  }
}

/** Copies text and says how it went. */
export async function copyText(text: string, done: string, refused: string): Promise<void> {
  if (await copied(text)) ElMessage({ type: 'success', message: done })
  else ElMessage({ type: 'warning', message: refused, duration: 8_000 })
}
