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

/** The most jobs of a state that a page shows. */
const shown = 200

export interface Jobs {
  readonly rows: readonly Job[]
  /** How many there are on the server, with those that are not shown. */
  readonly total: number
}

/**
 * The newest jobs of a state. Of all states (''), what is at work, what waits and what failed is there however
 * old it is: a night's recordings make more jobs than a page shows. Null where the server has no such part.
 */
export async function readJobs(
  state: JobState | '',
  language: string,
  signal: AbortSignal,
): Promise<Jobs | null> {
  const newest = await jobCalls.newest(state, shown, signal)
  if (newest === null) return null
  const parts = [newest]
  if (state === '' && newest.total > newest.rows.length) {
    const unfinished = ['running', 'queued', 'failed'].map((s) => jobCalls.newest(s, shown, signal))
    for (const part of await Promise.all(unfinished)) if (part !== null) parts.push(part)
  }
  const rows = new Map<unknown, Job>()
  for (const part of parts) for (const row of part.rows) rows.set(row['id'], jobOf(row, language))
  return { rows: inOrder([...rows.values()]), total: newest.total }
}

export interface JobSums {
  readonly running: readonly Job[]
  readonly queued: number
  readonly failed: number
}

/** What is at work, and how many wait and have failed; null where the server has no such part. */
export async function sumJobs(language: string, signal: AbortSignal): Promise<JobSums | null> {
  const [running, queued, failed] = await Promise.all([
    jobCalls.newest('running', shown, signal),
    jobCalls.newest('queued', 1, signal),
    jobCalls.newest('failed', 1, signal),
  ])
  if (running === null || queued === null || failed === null) return null
  return {
    running: inOrder(running.rows.map((row) => jobOf(row, language))),
    queued: queued.total,
    failed: failed.total,
  }
}

/**
 * What `read` answers, refreshed; `missing` where it is null: the server has no such part. Belongs to the component
 * that calls it.
 */
export function useJobs<T>(
  interval: number,
  read: (language: string, signal: AbortSignal) => Promise<T | null>,
) {
  const { locale } = useI18n()
  const polled = usePolled(async (signal) => ({ read: await read(locale.value, signal) }), interval)
  return {
    ...polled,
    data: computed(() => polled.data.value?.read ?? null),
    missing: computed(() => polled.data.value !== null && polled.data.value.read === null),
  }
}
