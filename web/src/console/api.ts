import { api, listOf } from '../shared/api'
import {
  channelRow,
  type ChannelRow,
  deviceRow,
  type DeviceRow,
  meetingRow,
  type MeetingRow,
  recordingRow,
  type RecordingRow,
  type Role,
  userRow,
  type UserRow,
} from './rows'

type Json = Record<string, unknown>

/** The most rows a list call returns. */
const page = '?limit=500'

async function list(path: string, signal: AbortSignal): Promise<Json[]> {
  return listOf<Json>(await api('GET', `/${path}${page}`, undefined, signal), path)
}

const one = (path: string, id: string): string => `/${path}/${encodeURIComponent(id)}`

export interface ChannelInput {
  id: string
  name: string
  source: string
  program?: number
  backup: string[]
}

/** Every call of the console to the server. All throw ApiError. */
export const server = {
  channels: async (signal: AbortSignal, language: string): Promise<ChannelRow[]> =>
    (await list('channels', signal)).map((row, index) => channelRow(row, index, language)),
  addChannel: (input: ChannelInput): Promise<unknown> => api('POST', '/channels', input),
  changeChannel: (input: ChannelInput): Promise<unknown> => {
    const { id, ...rest } = input
    return api('PATCH', one('channels', id), rest)
  },
  removeChannel: (id: string): Promise<unknown> => api('DELETE', one('channels', id)),

  meetings: async (signal: AbortSignal): Promise<MeetingRow[]> =>
    (await list('meetings', signal)).map(meetingRow),
  addMeeting: (input: { title: string; start?: string; end?: string }): Promise<unknown> =>
    api('POST', '/meetings', input),
  endMeeting: (id: string): Promise<unknown> => api('DELETE', one('meetings', id)),

  recordings: async (signal: AbortSignal, language: string): Promise<RecordingRow[]> =>
    (await list('recordings', signal)).map((row) => recordingRow(row, language)),
  record: (stream: string, title: string): Promise<unknown> => api('POST', '/recordings', { stream, title }),
  stopRecording: (id: string): Promise<unknown> => api('POST', `${one('recordings', id)}/stop`),
  removeRecording: (id: string): Promise<unknown> => api('DELETE', one('recordings', id)),
  recordingFile: (id: string): string => `/api/v1${one('recordings', id)}/file`,
  recordingPlaylist: (id: string): string => `/api/v1${one('recordings', id)}/hls/index.m3u8`,

  users: async (signal: AbortSignal): Promise<UserRow[]> => (await list('users', signal)).map(userRow),
  addUser: (input: { name: string; display: string; role: Role; password: string }): Promise<unknown> =>
    api('POST', '/users', input),
  changeUser: (
    id: string,
    change: { password?: string; disabled?: boolean; role?: Role },
  ): Promise<unknown> => api('PATCH', one('users', id), change),

  devices: async (signal: AbortSignal): Promise<DeviceRow[]> => (await list('kiosks', signal)).map(deviceRow),
  addDevice: (name: string): Promise<{ token: string }> => api('POST', '/kiosks', { name }),
  revokeDevice: (id: string): Promise<unknown> => api('DELETE', one('kiosks', id)),
}
