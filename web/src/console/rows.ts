// The REST answers as the console needs them: one reading of each field, in one place. Every
// function takes what the server sent and never throws; an unknown field is ignored.

import { spoken } from '../kiosk/sound'
import { type Rule, ruleOf } from './channel/switching'
import { count, date, type Json, object, objects, oneOf, sentence, text } from './fields'
import { type GuideEvent, guideEvent } from './guide/events'
import { type Programme, programmeOf } from './programme/programme'

export type ChannelState = 'live' | 'connecting' | 'lost' | 'refused' | 'unknown'

export interface ChannelRow {
  readonly id: string
  readonly number: number
  readonly name: string
  readonly source: string
  readonly program: number
  readonly backup: readonly string[]
  readonly state: ChannelState
  readonly since: Date | null
  readonly reason: string
  /** What the stream is made of: "H.264 1920×1080", "AAC". */
  readonly codecs: readonly string[]
  /** Bits per second; 0 when unknown. */
  readonly bitrate: number
  readonly playable: 'direct' | 'needs_transcoding' | 'unplayable'
  /** Declared in the configuration file: only shown here, not changed. */
  readonly fixed: boolean
  readonly onBackup: boolean
  /** When it leaves its source. */
  readonly rule: Rule
  /** What is on and what follows, by the guide. */
  readonly current: GuideEvent | null
  readonly next: GuideEvent | null
  /** What somebody should look at though it plays, such as a clock that is wrong. */
  readonly warnings: readonly string[]
}

export interface MeetingRow {
  readonly id: string
  readonly title: string
  readonly start: Date | null
  readonly end: Date | null
  readonly closed: Date | null
  /** People connected now. */
  readonly live: number
  /** What is on air; null while nobody watches or records it. */
  readonly programme: Programme | null
}

export type RecordingState =
  'recording' | 'waiting' | 'complete' | 'interrupted' | 'failed' | 'missed' | 'unknown'

export interface RecordingRow {
  readonly id: string
  readonly stream: string
  readonly title: string
  readonly state: RecordingState
  /** fmp4 plays by itself, ts by its playlist. */
  readonly format: 'fmp4' | 'ts'
  readonly started: Date | null
  readonly ended: Date | null
  /** Seconds. */
  readonly duration: number
  readonly bytes: number
  readonly reason: string
  /** A schedule began it. */
  readonly scheduled: boolean
}

export type Role = 'administrator' | 'operator' | 'chair' | 'member' | 'viewer' | 'kiosk'
export const accountRoles: readonly Role[] = ['administrator', 'operator', 'chair', 'member', 'viewer']

export interface UserRow {
  readonly id: string
  readonly name: string
  readonly display: string
  readonly role: Role
  readonly disabled: boolean
  readonly created: Date | null
}

export interface DeviceRow {
  readonly id: string
  readonly name: string
  readonly created: Date | null
  readonly seen: Date | null
  readonly state: DeviceState
}

/** Online: it asked the server for something within the last minutes. Never: it was added and not opened yet. */
export const deviceStates = ['online', 'offline', 'never', 'revoked'] as const
export type DeviceState = (typeof deviceStates)[number]

/** The tracks of a channel in words. */
function codecs(value: unknown, language: string): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value]
  if (!Array.isArray(value)) return []
  return value
    .map((item) => {
      if (typeof item !== 'object' || item === null) return text(item)
      const track = item as Json
      const size = count(track['width']) > 0 ? `${count(track['width'])}×${count(track['height'])}` : ''
      const tag = text(track['language'])
      const tongue = spoken(tag, language === 'en' ? 'en' : 'zh-CN') ?? tag
      return [text(track['codec']) || text(track['format']), size, tongue]
        .filter((part) => part !== '')
        .join(' ')
    })
    .filter((words) => words !== '')
}

export function channelRow(row: Json, index: number, language: string): ChannelRow {
  const status = { ...((row['status'] as Json | undefined) ?? {}), ...row }
  return {
    id: text(row['id']),
    number: count(row['number']) || index + 1,
    name: text(row['name']) || text(row['id']),
    source: text(row['source']),
    program: count(row['program']),
    backup: Array.isArray(row['backup']) ? row['backup'].map(text) : [],
    state: oneOf(status['state'], ['live', 'connecting', 'lost', 'refused'], 'unknown'),
    since: date(status['since']),
    reason: sentence(status['reason'], language),
    codecs: codecs(status['tracks'] ?? status['formats'] ?? status['codecs'], language),
    bitrate: count(status['bitrate']),
    playable: oneOf(status['playable'], ['direct', 'needs_transcoding', 'unplayable'], 'direct'),
    fixed: row['fixed'] === true || row['configured'] === true,
    onBackup: row['on_backup'] === true,
    rule: ruleOf(row['switch']),
    current: guideEvent(object(row['now'])),
    next: guideEvent(object(row['next'])),
    warnings: objects(row['warnings']).map((w) => sentence(w, language)),
  }
}

export function meetingRow(row: Json): MeetingRow {
  return {
    id: text(row['id']),
    title: text(row['title']) || text(row['id']),
    start: date(row['start']),
    end: date(row['end']),
    closed: date(row['closed']),
    live: count(row['live']),
    programme: programmeOf(row['programme']),
  }
}

export function recordingRow(row: Json, language: string): RecordingRow {
  const started = date(row['started'])
  const ended = date(row['ended'])
  const measured = started !== null && ended !== null ? (ended.getTime() - started.getTime()) / 1000 : 0
  return {
    id: text(row['id']),
    stream: text(row['stream']),
    title: text(row['title']) || text(row['stream']),
    state: oneOf(
      row['state'],
      ['recording', 'waiting', 'complete', 'interrupted', 'failed', 'missed'],
      'unknown',
    ),
    format: oneOf(row['format'], ['fmp4', 'ts'], 'fmp4'),
    started,
    ended,
    duration: count(row['duration']) || measured,
    bytes: count(row['bytes']),
    reason: sentence(row['reason'], language),
    scheduled: text(row['schedule']) !== '',
  }
}

export function userRow(row: Json): UserRow {
  return {
    id: text(row['id']),
    name: text(row['name']),
    display: text(row['display']),
    role: oneOf(row['role'], [...accountRoles, 'kiosk'], 'viewer'),
    disabled: row['disabled'] === true,
    created: date(row['created']),
  }
}

export function deviceRow(row: Json): DeviceRow {
  const seen = date(row['seen'])
  const state = row['online'] === true ? 'online' : seen === null ? 'never' : 'offline'
  return {
    id: text(row['id']),
    name: text(row['name']),
    created: date(row['created']),
    seen,
    state: date(row['revoked']) === null ? state : 'revoked',
  }
}
