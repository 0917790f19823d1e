import { api, listOf } from '../shared/api'
import {
  channelRow,
  type ChannelRow,
  deviceRow,
  type DeviceRow,
  meetingRow,
  type MeetingRow,
  type Role,
  userRow,
  type UserRow,
} from './rows'
import { type GuideEvent, guideEvent } from './guide/events'
import { outputRow, type OutputRow } from './outputs/outputs'
import { type Made, madeOf, type Scan, scanOf } from './scan/scan'
import {
  channelDetail,
  type ChannelDetail,
  logged,
  type Logged,
  watchedRow,
  type WatchedRow,
} from './wall/reading'
import { allRows } from './allrows'
import { count, type Json } from './fields'

const one = (path: string, id: string): string => `/${path}/${encodeURIComponent(id)}`

export interface ChannelInput {
  id: string
  name: string
  source: string
  program?: number
  backup: string[]
  /** Left out: the rule stays as it is. */
  switch?: Json
}

export interface OutputInput {
  id: string
  stream: string
  address: string
  bitrate: number
  service_id: number
  name: string
  provider: string
}

export interface EpgQuery {
  channel?: string
  from?: Date
  to?: Date
  q?: string
  limit?: number
  offset?: number
}

/** A page of the programme guide, and how many events there are in all. */
async function epgPage(
  query: EpgQuery,
  signal: AbortSignal,
): Promise<{ events: GuideEvent[]; read: number; total: number }> {
  const words = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) words.set(key, value instanceof Date ? value.toISOString() : String(value))
  }
  const answer = await api<Json>('GET', `/epg?${words.toString()}`, undefined, signal)
  const rows = listOf<Json>(answer, 'events')
  const events = rows.map(guideEvent).filter((e) => e !== null)
  return { events, read: rows.length, total: count(answer['total']) }
}

/** Every call of the console to the server. All throw ApiError. */
export const server = {
  channels: async (signal: AbortSignal, language: string): Promise<ChannelRow[]> =>
    (await allRows('channels', signal)).map((row, index) => channelRow(row, index, language)),
  watched: async (signal: AbortSignal, language: string): Promise<WatchedRow[]> =>
    (await allRows('channels', signal, '&brief=true')).map((row, index) => watchedRow(row, index, language)),
  channel: async (id: string, signal: AbortSignal, language: string): Promise<ChannelDetail> =>
    channelDetail(await api<Json>('GET', one('channels', id), undefined, signal), language),
  /** The newest alarms of a channel, and how many there are in all. */
  alarms: async (id: string, signal: AbortSignal): Promise<{ rows: Logged[]; total: number }> => {
    const answer = await api<Json>('GET', `${one('channels', id)}/alarms?limit=100`, undefined, signal)
    const rows = listOf<Json>(answer, 'alarms').map(logged)
    return { rows: rows.filter((row) => row !== null), total: count(answer['total']) }
  },
  /** Puts a source on air: 0 is the primary, 1 and up are the backups. */
  switchSource: (id: string, source: number): Promise<unknown> =>
    api('POST', `${one('channels', id)}/switch`, { source }),
  addChannel: (input: ChannelInput): Promise<unknown> => api('POST', '/channels', input),
  changeChannel: (input: ChannelInput): Promise<unknown> => {
    const { id, ...rest } = input
    return api('PATCH', one('channels', id), rest)
  },
  removeChannel: (id: string): Promise<unknown> => api('DELETE', one('channels', id)),

  outputs: async (signal: AbortSignal, language: string): Promise<OutputRow[]> =>
    (await allRows('outputs', signal)).map((row) => outputRow(row, language)),
  addOutput: (input: OutputInput): Promise<unknown> => api('POST', '/outputs', input),
  changeOutput: (input: OutputInput): Promise<unknown> => {
    const { id, ...rest } = input
    return api('PATCH', one('outputs', id), rest)
  },
  removeOutput: (id: string): Promise<unknown> => api('DELETE', one('outputs', id)),

  meetings: async (signal: AbortSignal): Promise<MeetingRow[]> =>
    (await allRows('meetings', signal)).map(meetingRow),
  meeting: async (id: string, signal: AbortSignal): Promise<MeetingRow> =>
    meetingRow(await api<Json>('GET', one('meetings', id), undefined, signal)),
  addMeeting: (input: { title: string; start?: string; end?: string }): Promise<unknown> =>
    api('POST', '/meetings', input),
  endMeeting: (id: string): Promise<unknown> => api('DELETE', one('meetings', id)),

  record: (stream: string, title: string): Promise<unknown> => api('POST', '/recordings', { stream, title }),
  stopRecording: (id: string): Promise<unknown> => api('POST', `${one('recordings', id)}/stop`),

  startScan: async (source: string, seconds: number, language: string): Promise<Scan> =>
    scanOf(await api<Json>('POST', '/scans', { source, seconds }), language),
  scan: async (id: string, language: string): Promise<Scan> =>
    scanOf(await api<Json>('GET', one('scans', id)), language),
  cancelScan: (id: string): Promise<unknown> => api('DELETE', one('scans', id)),
  scanToChannels: async (
    id: string,
    services: { service_id: number; id: string; name: string }[],
    language: string,
  ): Promise<Map<number, Made>> =>
    madeOf(
      listOf<Json>(await api('POST', `${one('scans', id)}/channels`, { services }), 'services'),
      language,
    ),

  epgPage,

  issueToken: (input: {
    subject: string
    role: Role
    stream: string
    ttl_s: number
  }): Promise<{ token: string; expires: string }> => api('POST', '/tokens', input),

  users: async (signal: AbortSignal): Promise<UserRow[]> => (await allRows('users', signal)).map(userRow),
  addUser: (input: { name: string; display: string; role: Role; password: string }): Promise<unknown> =>
    api('POST', '/users', input),
  changeUser: (
    id: string,
    change: { password?: string; disabled?: boolean; role?: Role; display?: string },
  ): Promise<unknown> => api('PATCH', one('users', id), change),

  devices: async (signal: AbortSignal): Promise<DeviceRow[]> =>
    (await allRows('kiosks', signal)).map(deviceRow),
  addDevice: (name: string): Promise<{ token: string }> => api('POST', '/kiosks', { name }),
  revokeDevice: (id: string): Promise<unknown> => api('DELETE', one('kiosks', id)),
}
