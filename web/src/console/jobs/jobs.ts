import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { count, date, type Json, oneOf, sentence, text } from '../fields'
import { jobCalls } from '../home/calls'
import { usePolled } from '../polled'

export const jobStates = ['queued', 'running', 'done', 'failed', 'cancelled'] as const
export type JobState = (typeof jobStates)[number]

export interface Job {
  readonly id: string
  readonly kind: string
  readonly recording: string
  /** Of the recording, or what the job itself is called. */
  readonly title: string
  readonly state: JobState
  /** 0 to 1. */
  readonly progress: number
  /** Seconds; null when not known. */
  readonly eta: number | null
  readonly attempts: number
  /** It waits for the quiet hours. */
  readonly offPeak: boolean
  /** When it is tried again by itself. */
  readonly notBefore: Date | null
  /** Why it failed, or is to be tried again. */
  readonly cause: string
  readonly created: Date | null
  readonly ended: Date | null
}

export function jobOf(row: Json, language: string): Job {
  const eta = row['eta_s']
  return {
    id: text(row['id']),
    kind: text(row['kind']),
    recording: text(row['recording']),
    title: text(row['title']) || text(row['recording']),
    state: oneOf(row['state'], jobStates, 'queued'),
    progress: Math.min(1, count(row['progress'])),
    eta: typeof eta === 'number' && eta >= 0 ? eta : null,
    attempts: count(row['attempts']),
    offPeak: row['off_peak'] === true,
    notBefore: date(row['not_before']),
    cause: sentence(row['cause'], language),
    created: date(row['created']),
    ended: date(row['ended']),
  }
}

const rank: Record<JobState, number> = { running: 0, queued: 1, failed: 2, cancelled: 3, done: 3 }

/** What is at work first, then what waits, then what failed; the newest first in each. */
export function inOrder(jobs: readonly Job[]): Job[] {
  return [...jobs].sort(
    (a, b) => rank[a.state] - rank[b.state] || (b.created?.getTime() ?? 0) - (a.created?.getTime() ?? 0),
  )
}

/** The jobs, refreshed; `missing` where the server has no such part. Belongs to the component that calls it. */
export function useJobs(interval: number) {
  const { locale } = useI18n()
  const polled = usePolled(async (signal) => {
    const rows = await jobCalls.list(signal)
    return { rows: rows === null ? null : inOrder(rows.map((row) => jobOf(row, locale.value))) }
  }, interval)
  return {
    ...polled,
    data: computed(() => polled.data.value?.rows ?? null),
    missing: computed(() => polled.data.value !== null && polled.data.value.rows === null),
  }
}
