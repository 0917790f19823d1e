// The channel answers as the wall and the detail need them.
import { count, date, type Json, measure, object, objects, oneOf, sentence, text, texts } from '../fields'
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

/** An alarm of a kind that this page does not know is left out: the server names it in its log. */
const kindOf = (name: unknown): AlarmKind | undefined => alarmKinds.find((k) => k === name)

function alarms(row: ChannelRow, quality: Json): Alarm[] {
  const raised = object(quality['raised'])
  const found: Alarm[] = texts(quality['alarms']).flatMap((name) => {
    const kind = kindOf(name)
    return kind ? [{ kind, since: date(raised[name]) ?? date(quality['since']) }] : []
  })
  // A channel that does not play is an alarm also where nothing is analysed.
  const add = (kind: AlarmKind): void => {
    if (!found.some((a) => a.kind === kind)) found.push({ kind, since: row.since })
  }
  if (row.state === 'lost') add('no_signal')
  if (row.state === 'refused') add('refused')
  return sortAlarms(found)
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

/** An alarm from its begin to its end, as the server's log has it. */
export interface Logged {
  readonly kind: AlarmKind | null
  /** The server's name of it. */
  readonly name: string
  readonly from: Date
  /** Null while it lasts. */
  readonly until: Date | null
}

export function logged(row: Json): Logged | null {
  const from = date(row['raised'])
  const name = text(row['alarm'])
  return from === null ? null : { kind: kindOf(name) ?? null, name, from, until: date(row['cleared']) }
}
