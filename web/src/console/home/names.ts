// What can be recorded is called by its name on every page.
import { server } from '../api'
import { usePolled } from '../polled'
import type { ChannelRow, MeetingRow } from '../rows'
import { streamKey } from './plan'
import { computed, type ComputedRef } from 'vue'
import { useI18n } from 'vue-i18n'

/** Channels and meetings by stream: channels/ID, meetings/ID. Meetings that are over cannot be recorded. */
export function namesOf(
  channels: readonly ChannelRow[],
  meetings: readonly MeetingRow[],
  meeting: string,
): Map<string, string> {
  const list = new Map(channels.map((c) => [`channels/${c.id}`, c.name]))
  for (const m of meetings) if (m.closed === null) list.set(`meetings/${m.id}`, `${meeting}：${m.title}`)
  return list
}

/** The name of a stream; of a channel that is gone its id, of a meeting that is over what it was. */
export function nameIn(names: ReadonlyMap<string, string>, stream: string, meeting: string): string {
  const key = streamKey(stream)
  return names.get(key) ?? (key.startsWith('meetings/') ? meeting : key.replace(/^channels\//, ''))
}

/** The names, kept fresh. Belongs to the component that calls it. */
export function useStreamNames(): {
  names: ComputedRef<ReadonlyMap<string, string>>
  nameOf: (stream: string) => string
} {
  const { t, locale } = useI18n()
  const channels = usePolled((signal) => server.channels(signal, locale.value), 60_000)
  const meetings = usePolled((signal) => server.meetings(signal), 60_000)
  const names = computed(() =>
    namesOf(channels.data.value ?? [], meetings.data.value ?? [], t('nav.meetings')),
  )
  return { names, nameOf: (stream) => nameIn(names.value, stream, t('nav.meetings')) }
}
