import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import type { Command, ViewSlot } from '../signal/protocol'
import { CommandError, type SessionState } from '../signal/session'
import { useSlots } from './slots'

const view = (height: number): ViewSlot[] => [{ slot: 0, want: 'auto', height }]

describe('what the page shows', () => {
  const scope = effectScope()
  const connection = ref<SessionState>('open')
  const send = vi.fn<(command: Command) => Promise<void>>(() => Promise.resolve())
  const made = () => scope.run(() => useSlots(connection, send))!
  beforeEach(() => {
    vi.useFakeTimers()
    send.mockClear()
    connection.value = 'open'
  })
  afterEach(() => void vi.useRealTimers())

  it('is told once the window rests, and once only', () => {
    const slots = made()
    for (const height of [100, 120, 160]) slots.show(view(height))
    vi.runAllTimers()
    slots.show(view(160))
    vi.runAllTimers()
    expect(send.mock.calls).toEqual([[{ type: 'view', slots: view(160) }]])
  })
  it('is told when the connection is there, and again to a server that has just welcomed the page', async () => {
    connection.value = 'waiting'
    const slots = made()
    slots.show(view(160))
    vi.runAllTimers()
    expect(send).not.toHaveBeenCalled()
    connection.value = 'open'
    await nextTick()
    expect(send).toHaveBeenCalledTimes(1)
    slots.again()
    expect(send).toHaveBeenCalledTimes(2)
  })
  it.each([
    ['too_many', 2, 'a refused one again'],
    ['disconnected', 1, 'a cut one not before the welcome'],
  ])('after %s is told %i times: %s', async (code, times) => {
    const slots = made()
    send.mockRejectedValueOnce(new CommandError(code, ''))
    slots.show(view(160))
    await vi.runAllTimersAsync()
    slots.show(view(160))
    await vi.runAllTimersAsync()
    expect(send).toHaveBeenCalledTimes(times)
  })
  it('is not told by a page that has gone', () => {
    const slots = made()
    slots.show(view(160))
    slots.close()
    vi.runAllTimers()
    expect(send).not.toHaveBeenCalled()
  })
})
