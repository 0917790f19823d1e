import type { Quality } from './quality'
import type { Sentence } from './screen'

export type Language = 'zh-CN' | 'en'

/** The kiosk's own words; it does not load the translation library of the other pages. */
export interface Words {
  readonly title: string
  readonly sentences: Readonly<Record<Sentence, string>>
  readonly silenced: string
  readonly channels: string
  readonly volume: string
  readonly offline: string
  readonly notLive: string
  readonly noSuchChannel: string
  readonly help: string
  readonly quality: string
  readonly qualities: Readonly<Record<Quality, string>>
  readonly sound: string
  readonly oneSound: string
}

const zh: Words = {
  title: '通乡电视',
  sentences: {
    connecting: '正在接收信号',
    restoring: '正在恢复信号',
    cannotPlay: '本频道暂不能播放',
    noChannels: '还没有频道',
    denied: '本机尚未授权，请联系管理员',
    offline: '正在重新连接服务器',
  },
  silenced: '按任意键打开声音',
  channels: '频道',
  volume: '音量',
  offline: '网络中断，正在重连',
  notLive: '无信号',
  noSuchChannel: '没有这个频道',
  help: '↑ ↓ 选择　确认键 收看　返回键 关闭',
  quality: '画质（红键 Q）',
  qualities: { auto: '自动', '800': '标清', '350': '流畅' },
  sound: '伴音（绿键 L）',
  oneSound: '只有一种伴音',
}

const en: Words = {
  title: 'Tongxiang TV',
  sentences: {
    connecting: 'Waiting for the signal',
    restoring: 'Restoring the signal',
    cannotPlay: 'This channel cannot be played',
    noChannels: 'There are no channels yet',
    denied: 'This device is not authorised. Please ask the administrator.',
    offline: 'Reconnecting to the server',
  },
  silenced: 'Press any key for sound',
  channels: 'Channels',
  volume: 'Volume',
  offline: 'Network lost, reconnecting',
  notLive: 'No signal',
  noSuchChannel: 'No such channel',
  help: '↑ ↓ choose · Enter watch · Back close',
  quality: 'Quality (red key, Q)',
  qualities: { auto: 'Automatic', '800': 'Standard', '350': 'Smooth' },
  sound: 'Sound (green key, L)',
  oneSound: 'There is only one sound',
}

/** The words of a language. */
export function words(language: Language): Words {
  return language === 'en' ? en : zh
}

/** English when the address or this machine's choice says so, else Chinese. */
export function chooseLanguage(query: URLSearchParams, stored: string): Language {
  return (query.get('lang') ?? stored) === 'en' ? 'en' : 'zh-CN'
}
