/** What an event of the meeting means for the one who sits at this page. */
import { ref, type ComputedRef } from 'vue'
import type { EventMessage, Participant } from '../signal/protocol'
import type { Capture } from './capture'
import { find, type Room } from './state'
import type { Toasts, Translate } from './toasts'

export interface NoticesOptions {
  me: ComputedRef<Participant | undefined>
  capture: Capture
  toasts: Toasts
  t: Translate
}

export function useNotices({ me, capture, toasts: { toast }, t }: NoticesOptions) {
  /** The chair asks for one's voice. */
  const unmuteAsked = ref(false)
  /** Words of others since the chat was last looked at. */
  const unread = ref(0)

  /** Takes an event; `before` is the meeting without it. */
  function notice(before: Room, { event }: EventMessage): void {
    const you = before.you
    switch (event.kind) {
      case 'muted':
        if (event.participant !== you) break
        unmuteAsked.value = false // answered by a key, or taken back
        capture.local.muted = event.muted
        if (event.muted && event.by !== '' && event.by !== you) toast(t('room.mutedByChair'))
        capture.applyMute()
        break
      case 'muted_all':
        if (!event.muted || me.value?.role === 'chair') break
        unmuteAsked.value = false
        toast(t(event.self_unmute ? 'room.mutedByChairSelf' : 'room.mutedByChair'))
        capture.mute()
        break
      case 'unmute_requested':
        if (event.participant === you) unmuteAsked.value = true
        break
      case 'screen':
        if (event.participant === you && !event.on && capture.screen.value) {
          capture.stopScreen()
          if (event.by !== you) toast(t('room.shareStopped'))
        }
        break
      case 'hand':
        if (event.raised && event.participant !== you && me.value?.role === 'chair') {
          toast(t('room.raised', { name: find(before, event.participant)?.name ?? event.participant }))
        }
        break
      case 'chat':
        if (event.from !== you) unread.value++
        break
      case 'role':
        if (event.participant !== you) break
        toast(t(`room.role${event.role}`))
        if (event.role === 'viewer') {
          unmuteAsked.value = false
          capture.stopCamera()
          capture.stopScreen()
          capture.mute()
        }
    }
  }

  return { unmuteAsked, unread, notice }
}
