// Transport-stream outputs as the pages need them. Pure.
import { count, date, type Json, object, oneOf, sentence, text } from '../fields'

export const outputStates = [
  'starting',
  'on_air',
  'overloaded',
  'idle',
  'stopped',
  'failed',
  'unknown',
] as const
export type OutputState = (typeof outputStates)[number]

export interface OutputRow {
  readonly id: string
  readonly stream: string
  readonly address: string
  /** Bits per second as asked for; 0: what the stream needs. */
  readonly bitrate: number
  readonly service: number
  readonly name: string
  readonly provider: string
  readonly state: OutputState
  readonly since: Date | null
  readonly reason: string
  /** Bits per second sent now, and about what the stream needs; 0: not known. */
  readonly sent: number
  readonly needed: number
  /** What was lost, by the server's names; only what is not 0. */
  readonly errors: readonly { name: string; count: number }[]
  readonly fixed: boolean
}

export function outputRow(row: Json, language: string): OutputRow {
  return {
    id: text(row['id']),
    stream: text(row['stream']),
    address: text(row['address']),
    bitrate: count(row['bitrate']),
    service: count(row['service_id']),
    name: text(row['name']),
    provider: text(row['provider']),
    state: oneOf(row['state'], outputStates, 'unknown'),
    since: date(row['since']),
    reason: sentence(row['reason'], language),
    sent: count(row['bitrate_now']),
    needed: count(row['needed']),
    errors: Object.entries(object(row['errors']))
      .map(([name, n]) => ({ name, count: count(n) }))
      .filter((e) => e.count > 0),
    fixed: row['fixed'] === true,
  }
}

export const outputExamples = [
  { name: 'multicast', example: 'udp://239.9.9.9:5000?interface=eth1&ttl=8' },
  { name: 'rtp', example: 'rtp://239.9.9.9:5000?interface=eth1' },
  { name: 'unicast', example: 'udp://10.0.0.20:5000' },
] as const

/** Bits per second of the field in Mbit/s; empty means that the server finds out. */
export const bitsOf = (megabits: number | undefined): number => Math.round((megabits ?? 0) * 1_000_000)
