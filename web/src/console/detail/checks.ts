// The checks of ETSI TR 101 290 that the server counts, in the order of the report. Pure.

export interface Check {
  /** The server's name of the count. */
  readonly name: string
  /** Its number in the report. */
  readonly clause: string
  readonly priority: 1 | 2
}

export const checks: readonly Check[] = [
  { name: 'sync_loss', clause: '1.1', priority: 1 },
  { name: 'sync_byte_error', clause: '1.2', priority: 1 },
  { name: 'pat_error', clause: '1.3', priority: 1 },
  { name: 'continuity_count_error', clause: '1.4', priority: 1 },
  { name: 'pmt_error', clause: '1.5', priority: 1 },
  { name: 'pid_error', clause: '1.6', priority: 1 },
  { name: 'transport_error', clause: '2.1', priority: 2 },
  { name: 'crc_error', clause: '2.2', priority: 2 },
  { name: 'pcr_repetition_error', clause: '2.3a', priority: 2 },
  { name: 'pcr_discontinuity_error', clause: '2.3b', priority: 2 },
  { name: 'pcr_accuracy_error', clause: '2.4', priority: 2 },
  { name: 'pts_error', clause: '2.5', priority: 2 },
  { name: 'cat_error', clause: '2.6', priority: 2 },
]

export interface Result extends Check {
  readonly count: number
  /** Counted since `before`: what is wrong now, not what was wrong some day. */
  readonly fresh: number
}

/** The results, those that the server does not count left out. A count that fell began anew. */
export function results(
  counts: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>,
): readonly Result[] {
  return checks.flatMap((check) => {
    const count = counts.get(check.name)
    if (count === undefined) return []
    const old = before.get(check.name) ?? 0
    return [{ ...check, count, fresh: count < old ? count : count - old }]
  })
}
