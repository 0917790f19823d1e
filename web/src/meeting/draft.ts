/** The message somebody writes: sent once however often Enter is pressed, and given back when it was not delivered. */
import { ref } from 'vue'

/** `send` resolves to true when the message was delivered. */
export function useDraft(send: (text: string) => Promise<boolean>) {
  const text = ref('')

  /** Sends what is written. The field is free for the next message at once. */
  async function submit(): Promise<void> {
    const message = text.value.trim()
    if (message === '') return
    text.value = ''
    if (await send(message)) return
    // What was written meanwhile stays too, after it.
    text.value = text.value.trim() === '' ? message : `${message} ${text.value}`
  }

  return { text, submit }
}
