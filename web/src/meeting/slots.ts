/** Tells the server which pictures this page shows and how large, so that it sends those and no others. */
import { watch, type Ref } from 'vue'
import type { Command, ViewSlot } from '../signal/protocol'
import { CommandError, type SessionState } from '../signal/session'

/** How long a window that is being resized is waited for, in ms. */
const viewDelay = 150

export function useSlots(connection: Ref<SessionState>, send: (command: Command) => Promise<void>) {
  let wanted: ViewSlot[] = []
  let sent = ''
  let timer: ReturnType<typeof setTimeout> | undefined

  function show(view: ViewSlot[]): void {
    wanted = view
    clearTimeout(timer)
    timer = setTimeout(sendView, viewDelay)
  }

  function sendView(): void {
    const text = JSON.stringify(wanted)
    if (wanted.length === 0 || text === sent || connection.value !== 'open') return
    sent = text
    void send({ type: 'view', slots: wanted }).catch((error: unknown) => {
      if (error instanceof CommandError && error.code !== 'disconnected') sent = ''
    })
  }

  /** A server that has just welcomed this page knows nothing of it. */
  function again(): void {
    sent = ''
    sendView()
  }

  watch(connection, (state) => {
    if (state === 'open') sendView()
  })

  return { show, again, close: () => clearTimeout(timer) }
}
