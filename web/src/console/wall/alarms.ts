// What the wall says of a channel: which alarms it has, how bad they are, which channels come first. Pure.

export const alarmKinds = [
  'no_signal',
  'sync',
  'refused',
  'scrambled',
  'black',
  'frozen',
  'silent',
  'missing',
  'loud',
  'continuity',
  'transport',
  'pcr',
  'pts',
  'tables',
] as const
export type AlarmKind = (typeof alarmKinds)[number]

/** `danger`: viewers see or hear it. `warn`: they may soon. */
export type Severity = 'danger' | 'warn'

const severe: ReadonlySet<AlarmKind> = new Set([
  'no_signal',
  'sync',
  'refused',
  'scrambled',
  'black',
  'frozen',
  'silent',
  'missing',
])

export const severityOf = (kind: AlarmKind): Severity => (severe.has(kind) ? 'danger' : 'warn')

export interface Alarm {
  readonly kind: AlarmKind
  readonly since: Date | null
}

/** What filters and order need of a channel. */
export interface Watched {
  readonly id: string
  readonly number: number
  readonly name: string
  readonly group: string
  readonly onBackup: boolean
  readonly alarms: readonly Alarm[]
}

/** The worst first, then the oldest. */
export function sortAlarms(alarms: readonly Alarm[]): Alarm[] {
  return [...alarms].sort(
    (a, b) =>
      alarmKinds.indexOf(a.kind) - alarmKinds.indexOf(b.kind) ||
      (a.since?.getTime() ?? 0) - (b.since?.getTime() ?? 0),
  )
}

export function worst(channel: { readonly alarms: readonly Alarm[] }): Severity | null {
  if (channel.alarms.length === 0) return null
  return channel.alarms.some((alarm) => severityOf(alarm.kind) === 'danger') ? 'danger' : 'warn'
}

/** Since when the oldest alarm lasts; null when none is known. */
export function alarmedSince(channel: Pick<Watched, 'alarms'>): Date | null {
  const times = channel.alarms.flatMap((alarm) => (alarm.since ? [alarm.since.getTime()] : []))
  return times.length === 0 ? null : new Date(Math.min(...times))
}

export type Order = 'fixed' | 'alarms'

const rank = { danger: 0, warn: 1, none: 2 } as const

/** Alarms first keeps the order of channels within one severity, so that tiles do not jump about. */
export function ordered<T extends Watched>(channels: readonly T[], order: Order): T[] {
  const place = (c: T): number => (order === 'fixed' ? 0 : rank[worst(c) ?? 'none'])
  return [...channels].sort((a, b) => place(a) - place(b) || a.number - b.number)
}

export type Show = 'all' | 'alarms' | 'backup' | AlarmKind

/** `group` may be 'all'. */
export function shownBy<T extends Watched>(channels: readonly T[], group: string, show: Show): T[] {
  return channels.filter((c) => {
    if (group !== 'all' && c.group !== group) return false
    if (show === 'all') return true
    if (show === 'alarms') return c.alarms.length > 0
    if (show === 'backup') return c.onBackup
    return c.alarms.some((alarm) => alarm.kind === show)
  })
}

export interface Summary {
  readonly channels: number
  /** Channels with any alarm. */
  readonly alarmed: number
  readonly backup: number
  readonly kinds: ReadonlyMap<AlarmKind, number>
}

export function summary(channels: readonly Watched[]): Summary {
  const kinds = new Map<AlarmKind, number>()
  for (const { kind } of channels.flatMap((c) => c.alarms)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  return {
    channels: channels.length,
    alarmed: channels.filter((c) => c.alarms.length > 0).length,
    backup: channels.filter((c) => c.onBackup).length,
    kinds,
  }
}

/** One occurrence of an alarm. A new occurrence of the same kind is another one. */
export const occurrence = (id: string, alarm: Alarm): string =>
  `${id} ${alarm.kind} ${alarm.since?.getTime() ?? 0}`

/** Occurrences that nobody has acknowledged: as long as there is one, the bell rings. */
export function unacknowledged(channels: readonly Watched[], acknowledged: ReadonlySet<string>): string[] {
  return channels.flatMap((c) =>
    c.alarms.map((alarm) => occurrence(c.id, alarm)).filter((key) => !acknowledged.has(key)),
  )
}
