import type { Language } from './locales'

/** One of the sounds among which the viewer may choose. */
export interface Sound {
  /** What is remembered and asked for: a language tag, or the sound's name where there is none. */
  readonly key: string
  /** As the server calls it, in Chinese. */
  readonly name: string
}

/** What a sound is called on the screen. */
export function soundName(sound: Sound, language: Language): string {
  if (language !== 'en' && sound.name !== '') return sound.name
  return spoken(sound.key, language) ?? (sound.name || sound.key)
}

/** A language's name, when the browser knows it. */
export function spoken(tag: string, language: Language): string | undefined {
  if (!/^[a-z]{2,3}$/.test(tag)) return undefined
  // Television speaks Mandarin; the browser would say "Chinese", which is a script as well.
  const standard = tag === 'zho' || tag === 'chi' || tag === 'zh'
  if (standard) return language === 'en' ? 'Mandarin' : '普通话'
  try {
    const name = new Intl.DisplayNames([language], { type: 'language', fallback: 'none' }).of(tag)
    return name
  } catch {
    return undefined
  }
}

/** The index of the remembered sound, or −1. */
export function remembered(sounds: readonly Sound[], key: string): number {
  return key === '' ? -1 : sounds.findIndex((s) => s.key === key)
}

/** The sounds of a channel as its list names them, for players that cannot list them themselves. */
export function soundsOf(languages: readonly string[], language: Language): Sound[] {
  const distinct = languages.filter((l, i) => l !== '' && languages.indexOf(l) === i)
  return distinct.length < 2 ? [] : distinct.map((l) => ({ key: l, name: spoken(l, language) ?? l }))
}
