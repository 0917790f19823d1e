// When a channel leaves its source and when it returns, as the dialog edits it. Pure.
import { type Json, object, oneOf, text, texts } from '../fields'

export const faults = ['no_packets', 'no_media', 'no_pcr', 'scrambled', 'black', 'frozen', 'silent'] as const
export type Fault = (typeof faults)[number]
export const ways = ['auto', 'manual', 'never'] as const
export type Way = (typeof ways)[number]

export interface Rule {
  readonly on: readonly Fault[]
  /** Seconds that each fault is borne. */
  readonly after: Readonly<Record<Fault, number>>
  readonly back: Way
  /** Seconds that the primary must have been well. */
  readonly backAfter: number
  readonly standby: boolean
}

/** What the server does where nothing is said. Black, frozen and silent may be meant: they are asked for. */
export const usual: Rule = {
  on: ['no_packets', 'no_media', 'no_pcr', 'scrambled'],
  after: { no_packets: 1, no_media: 2, no_pcr: 2, scrambled: 1, black: 10, frozen: 10, silent: 30 },
  back: 'auto',
  backAfter: 60,
  standby: false,
}

/** Seconds of a duration as Go writes it ("1m30s", "500ms"); null when it is none. */
export function seconds(duration: string): number | null {
  const units: Readonly<Record<string, number>> = {
    h: 3600,
    m: 60,
    s: 1,
    ms: 0.001,
    us: 1e-6,
    µs: 1e-6,
    ns: 1e-9,
  }
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)]
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== duration) return null
  return parts.reduce((sum, [, n, unit]) => sum + Number(n) * (units[unit ?? ''] ?? 0), 0)
}

export function ruleOf(value: unknown): Rule {
  const row = object(value)
  const after = object(row['after'])
  const named = texts(row['on'])
  return {
    on: Array.isArray(row['on']) ? faults.filter((f) => named.includes(f)) : usual.on,
    after: Object.fromEntries(faults.map((f) => [f, seconds(text(after[f])) ?? usual.after[f]])) as Record<
      Fault,
      number
    >,
    back: oneOf(row['back'], ways, usual.back),
    backAfter: seconds(text(row['back_after'])) ?? usual.backAfter,
    standby: row['standby'] === true,
  }
}

/** The rule for the server, as a whole. */
export function ruleJson(rule: Rule): Json {
  return {
    on: rule.on,
    after: Object.fromEntries(faults.map((f) => [f, `${rule.after[f]}s`])),
    back: rule.back,
    back_after: `${rule.backAfter}s`,
    standby: rule.standby,
  }
}

export const sameRule = (a: Rule, b: Rule): boolean =>
  JSON.stringify(ruleJson({ ...a, on: faults.filter((f) => a.on.includes(f)) })) ===
  JSON.stringify(ruleJson({ ...b, on: faults.filter((f) => b.on.includes(f)) }))

export const presets = ['auto', 'manual', 'off'] as const
export type Preset = (typeof presets)[number]

/** The rule of a preset; how long faults are borne stays as it was set. */
export function preset(name: Preset, rule: Rule): Rule {
  if (name === 'off') return { ...rule, on: [], standby: false }
  return { ...rule, on: rule.on.length > 0 ? rule.on : usual.on, back: name }
}

/** The preset that a rule is; null for a rule of one's own. */
export function presetOf(rule: Rule): Preset | null {
  if (rule.on.length === 0) return 'off'
  return rule.back === 'never' ? null : rule.back
}
