// The channel answers as the wall and the detail need them.
import { count, date, type Json, measure, object, objects, oneOf, sentence, text } from '../fields'
import { channelRow, type ChannelRow } from '../rows'
import { type Alarm, type AlarmKind, alarmKinds, sortAlarms, type Watched } from './alarms'
import { groupOf } from './groups'

export interface WatchedRow extends ChannelRow, Watched {
  /** LUFS; null when the sound is not measured. */
  readonly loudness: number | null
  /** Changes with each new thumbnail; empty: there is none. */
  readonly thumbnail: string
}

export type SourceState = 'idle' | 'connecting' | 'live' | 'lost' | 'refused' | 'unknown'

export interface SourceRow {
  readonly address: string
  readonly active: boolean
  readonly state: SourceState
  readonly since: Date | null
  readonly reason: string
}

export interface PidRow {
  readonly pid: number
  readonly codec: string
  readonly bitrate: number
}

export interface ChannelDetail extends WatchedRow {
  readonly service: string
  readonly provider: string
  readonly attempts: number
  readonly sources: readonly SourceRow[]
  readonly switched: Date | null
  readonly switchedFor: string
  readonly pids: readonly PidRow[]
  /** Counts of TR 101 290 by name; null when nothing is measured. */
  readonly tr101290: ReadonlyMap<string, number> | null
  /** Microseconds; null when not measured. */
  readonly jitter: number | null
}

/** Other names that the server gives to the kinds. */
const aliases: Readonly<Record<string, AlarmKind>> = {
  no_packets: 'no_signal',
  lost: 'no_signal',
  unplayable: 'refused',
  too_loud: 'loud',
  transport_error: 'transport',
  pat: 'tables',
  pmt: 'tables',
}

function alarm(value: unknown, since: Date | null): Alarm | null {
  const entry = object(value)
  const name = typeof value === 'string' ? value : text(entry['code'] ?? entry['kind'] ?? entry['alarm'])
  const kind = alarmKinds.find((k) => k === name) ?? aliases[name]
  return kind ? { kind, since: date(entry['since']) ?? since } : null
}

function alarms(row: ChannelRow, quality: Json): Alarm[] {
  const values = Array.isArray(quality['alarms']) ? quality['alarms'] : []
  const found = values.map((v) => alarm(v, date(quality['since']))).filter((a) => a !== null)
  // A channel that does not play is an alarm also where nothing is analysed.
  const add = (kind: AlarmKind): void => {
    if (!found.some((a) => a.kind === kind)) found.push({ kind, since: row.since })
  }
  if (row.state === 'lost') add('no_signal')
  if (row.state === 'refused') add('refused')
  const kinds = new Set<AlarmKind>()
  return sortAlarms(found.filter((a) => !kinds.has(a.kind) && kinds.add(a.kind)))
}

export function watchedRow(row: Json, index: number, language: string): WatchedRow {
  const channel = channelRow(row, index, language)
  const quality = object(row['quality'])
  return {
    ...channel,
    group: text(row['group']) || groupOf(channel.name),
    alarms: alarms(channel, quality),
    loudness: measure(quality['loudness_lufs']),
    thumbnail: text(quality['thumbnail_at']),
  }
}

function sourceRow(source: Json, language: string): SourceRow {
  return {
    address: text(source['address']),
    active: source['active'] === true,
    state: oneOf(source['state'], ['idle', 'connecting', 'live', 'lost', 'refused'], 'unknown'),
    since: date(source['since']),
    reason: sentence(source['reason'], language),
  }
}

export function channelDetail(row: Json, language: string): ChannelDetail {
  const quality = object(row['quality'])
  const counts = Object.entries(object(quality['tr101290'])).filter(([, v]) => typeof v === 'number')
  return {
    ...watchedRow(row, 0, language),
    service: text(row['service']),
    provider: text(row['provider']),
    attempts: count(row['attempts']),
    sources: objects(row['sources']).map((s) => sourceRow(s, language)),
    switched: date(row['switched']),
    switchedFor: text(row['switched_for']),
    pids: objects(quality['pids']).map((p) => ({
      pid: count(p['pid']),
      codec: text(p['codec']),
      bitrate: count(p['bitrate']),
    })),
    tr101290: counts.length === 0 ? null : new Map(counts.map(([k, v]) => [k, count(v)])),
    jitter: measure(quality['jitter_us']),
  }
}
