import { expect, test, vi } from 'vitest'
import { ref, computed } from 'vue'
import type { EventBody, EventMessage, Participant } from '../signal/protocol'
import type { Capture } from './capture'
import { useNotices } from './notices'
import type { Room } from './state'
import type { Toasts } from './toasts'

function asked() {
  const me = ref<Partial<Participant>>({ id: 'li', role: 'member' })
  const local = { muted: true, sharing: false }
  const capture = { local, applyMute: vi.fn(), mute: vi.fn(), stopCamera: vi.fn(), stopScreen: vi.fn() }
  const notices = useNotices({
    me: computed(() => me.value as Participant),
    capture: capture as unknown as Capture,
    toasts: { toast: vi.fn() } as unknown as Toasts,
    t: (key) => key,
  })
  const tell = (event: EventBody) =>
    notices.notice({ you: 'li', participants: [] } as unknown as Room, { event } as EventMessage)
  tell({ kind: 'unmute_requested', participant: 'li', by: 'wang' } as EventBody)
  expect(notices.unmuteAsked.value).toBe(true)
  return { notices, tell }
}

const over: [string, EventBody][] = [
  ['one speaks already', { kind: 'muted', participant: 'li', muted: false, by: 'li' } as EventBody],
  [
    'the chair has muted one again',
    { kind: 'muted', participant: 'li', muted: true, by: 'wang' } as EventBody,
  ],
  ['the chair has muted everybody', { kind: 'muted_all', muted: true, self_unmute: false } as EventBody],
  ['one became a viewer', { kind: 'role', participant: 'li', role: 'viewer' } as EventBody],
]

test.each(over)('the question whether to speak goes when %s', (_, event) => {
  const { notices, tell } = asked()
  tell(event)
  expect(notices.unmuteAsked.value).toBe(false)
})

test('the question stays when somebody else is muted', () => {
  const { notices, tell } = asked()
  tell({ kind: 'muted', participant: 'zhao', muted: true, by: 'wang' } as EventBody)
  expect(notices.unmuteAsked.value).toBe(true)
})
