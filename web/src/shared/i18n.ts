import { createI18n } from 'vue-i18n'

/** Languages of the pages, the first is the default. */
export const languages = { 'zh-CN': '中文', en: 'English' } as const
export type Language = keyof typeof languages

const storageKey = 'tongxiang.language'

/** The language chosen last on this machine, else Chinese: most machines in the field have a browser in English. */
export function storedLanguage(): Language {
  try {
    return localStorage.getItem(storageKey) === 'en' ? 'en' : 'zh-CN'
  } catch {
    return 'zh-CN' // storage may be switched off by policy
  }
}

function apply(language: Language): void {
  document.documentElement.lang = language
  try {
    localStorage.setItem(storageKey, language)
  } catch {
    // Not remembered; the page still switches.
  }
}

/** A tree of sentences. Both languages of a page must have the same keys; a test compares them. */
export interface Messages {
  [key: string]: string | Messages
}

/** Makes the page's i18n from its own sentences. Use `useI18n()` in components. */
export function createPageI18n<T extends Messages>(zh: T, en: T) {
  const language = storedLanguage()
  apply(language)
  return createI18n({
    legacy: false,
    locale: language,
    fallbackLocale: 'zh-CN',
    messages: { 'zh-CN': zh as Messages, en: en as Messages },
  })
}

/** Switches the language of the page and remembers it. */
export function setLanguage(locale: { value: string }, language: Language): void {
  locale.value = language
  apply(language)
}
