// A scan as the server reports it, and what the operator makes of it. Pure.
import { spoken } from '../../kiosk/sound'
import { count, type Json, object, objects, oneOf, sentence, text, texts } from '../fields'

export interface Service {
  readonly id: number
  readonly name: string
  readonly provider: string
  /** Logical channel number; 0: none. */
  readonly lcn: number
  readonly scrambled: boolean
  readonly playable: boolean
  readonly transcoded: boolean
  readonly reason: string
  /** Pictures and sounds in words: "H.264 720×576", "MP2 zho". */
  readonly codecs: readonly string[]
  readonly now: string
  readonly next: string
  /** Id of the channel that has this service already; empty: none. */
  readonly channel: string
}

export interface Scan {
  readonly id: string
  readonly state: 'running' | 'done' | 'failed' | 'cancelled'
  /** 0 to 1. */
  readonly progress: number
  readonly reason: string
  readonly services: readonly Service[]
}

function stream(row: Json, language: string): string {
  const size = count(row['width']) > 0 ? `${count(row['width'])}×${count(row['height'])}` : ''
  const tag = text(row['language'])
  const tongue = spoken(tag, language === 'en' ? 'en' : 'zh-CN') ?? tag
  return [text(row['codec']), size, tongue].filter((part) => part !== '').join(' ')
}

const title = (event: unknown): string =>
  text(object(event)['title']) || (typeof event === 'string' ? event : '')

function service(row: Json, language: string): Service {
  const id = count(row['service_id'])
  const playable = row['playable']
  const named =
    texts(row['streams']).length > 0
      ? texts(row['streams'])
      : objects(row['streams']).map((s) => stream(s, language))
  return {
    id,
    name: text(row['name']) || `${id}`,
    provider: text(row['provider']),
    lcn: count(row['lcn']),
    scrambled: row['scrambled'] === true,
    // The server says yes or no, or how.
    playable: playable === true || playable === 'direct' || playable === 'needs_transcoding',
    transcoded: playable === 'needs_transcoding',
    reason: sentence(row['reason'], language),
    codecs: [...new Set(named.filter((words) => words !== ''))],
    now: title(row['now']),
    next: title(row['next']),
    channel: text(row['channel']),
  }
}

export function scanOf(row: Json, language: string): Scan {
  return {
    id: text(row['id']),
    state: oneOf(row['state'], ['running', 'done', 'failed', 'cancelled'], 'done'),
    progress: Math.min(1, count(row['progress'])),
    reason: sentence(row['reason'], language),
    services: objects(row['services']).map((s) => service(s, language)),
  }
}

/** What the operator wants to make of a service. */
export interface Plan {
  chosen: boolean
  id: string
  name: string
  /** The operator changed it: what a scan finds out later leaves it alone. */
  touched: boolean
}

const idPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/
export const validId = (id: string): boolean => idPattern.test(id)

/** An id from what is Latin at the head of a name ("CCTV-1 综合": cctv-1), else from the service id. */
export function suggestedId(service: Service, taken: ReadonlySet<string>): string {
  const latin = /^[a-z0-9][a-z0-9 ._+-]*/i.exec(service.name)?.[0] ?? ''
  const base =
    latin
      .toLowerCase()
      .replaceAll('+', 'plus')
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/-+$/, '')
      .slice(0, 40) || `s${service.id}`
  const wanted = /^\d+$/.test(base) ? `s${base}` : base
  for (let n = 1; ; n++) {
    const id = n === 1 ? wanted : `${wanted}-${n}`
    if (!taken.has(id)) return id
  }
}

export const mayBecome = (service: Service): boolean => service.playable && service.channel === ''

/**
 * Plans for what was found so far. A running scan learns names and codecs after it has seen a service, so plans
 * that nobody touched are made anew; the others stay.
 */
export function planned(
  services: readonly Service[],
  plans: ReadonlyMap<number, Plan>,
  channels: readonly string[],
): Map<number, Plan> {
  const next = new Map([...plans].filter(([, plan]) => plan.touched))
  const taken = new Set([...channels, ...[...next.values()].map((plan) => plan.id)])
  for (const found of services) {
    if (next.has(found.id)) continue
    const id = found.channel || suggestedId(found, taken)
    taken.add(id)
    next.set(found.id, { chosen: mayBecome(found), id, name: found.name, touched: false })
  }
  return next
}

export type Problem = 'id' | 'twice' | 'taken' | 'name'

/** What is wrong with the plan of a service; null: nothing. */
export function problemOf(plan: Plan, all: readonly Plan[], channels: ReadonlySet<string>): Problem | null {
  if (!plan.chosen) return null
  if (!validId(plan.id)) return 'id'
  if (channels.has(plan.id)) return 'taken'
  if (all.filter((other) => other.chosen && other.id === plan.id).length > 1) return 'twice'
  return plan.name.trim() === '' ? 'name' : null
}

/** What became of one service. */
export interface Made {
  readonly channel: string
  /** Why not; empty: it is a channel now. */
  readonly problem: string
}

export function madeOf(rows: readonly Json[], language: string): Map<number, Made> {
  return new Map(
    rows.map((row) => {
      const problem = text(row['code']) === '' ? '' : sentence(row['detail'], language) || text(row['code'])
      return [count(row['service_id']), { channel: text(row['channel']), problem }]
    }),
  )
}
