// The forms of addresses that sources may have, and the addresses used before. Mostly pure.

/** An example is put into the field to be changed; its words are in the locales under `addressForms`. */
export const addressForms = [
  { name: 'multicast', example: 'udp://239.1.1.1:5000?interface=eth1' },
  { name: 'ssm', example: 'udp://232.1.1.1:5000?source=10.0.0.1&interface=eth1' },
  { name: 'unicast', example: 'udp://:5000' },
  { name: 'rtp', example: 'rtp://239.1.1.1:5004' },
  { name: 'srtCaller', example: 'srt://10.0.0.9:9000' },
  { name: 'srtListener', example: 'srt://:9000?mode=listener' },
  { name: 'http', example: 'http://10.0.0.8:9981/stream.ts' },
  { name: 'hls', example: 'http://10.0.0.8/live/index.m3u8' },
  { name: 'rtsp', example: 'rtsp://10.0.0.9:554/live' },
  { name: 'onvif', example: 'onvif://user:password@10.0.0.64' },
  { name: 'exec', example: 'exec:zap?channel=CCTV-1' },
  { name: 'file', example: 'file:///srv/loop.ts' },
  { name: 'folder', example: 'folder:///srv/evening' },
] as const

/** The forms that hold several programmes, so that a scan makes sense. */
export const scannable = addressForms.filter((form) => !['rtsp', 'onvif', 'folder'].includes(form.name))

const schemes = /^(udp|rtp|srt|https?|rtsps?|onvif):\/\/.|^(file|folder):\/\/\/.|^exec:.|^push:$|^stdin:$/i

/** Whether an address has a form that the server knows; only the server knows whether it is right. */
export const looksLikeAddress = (address: string): boolean => schemes.test(address.trim())

/** Passwords and passphrases do not belong into the browser's storage. */
export const hasSecret = (address: string): boolean =>
  /:\/\/[^/?]*:[^/?]*@/.test(address) || /[?&](passphrase|password|token)=/i.test(address)

const storageKey = 'tongxiang.addresses'
const most = 8

export function recentAddresses(): string[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]')
    return Array.isArray(value) ? value.filter((a) => typeof a === 'string').slice(0, most) : []
  } catch {
    return []
  }
}

/** Puts an address first among the recent ones and returns them. */
export function remembered(recent: readonly string[], address: string): string[] {
  if (hasSecret(address)) return [...recent]
  return [address, ...recent.filter((a) => a !== address)].slice(0, most)
}

export function keepAddresses(recent: readonly string[]): void {
  try {
    localStorage.setItem(storageKey, JSON.stringify(recent))
  } catch {
    // Not remembered.
  }
}

/** An address as it may stand in a list that others see over one's shoulder: without its secrets. */
export function withoutSecrets(address: string): string {
  return address
    .replace(/(\/\/[^/@\s:]*):[^/@\s]*@/, '$1:•••@')
    .replace(/([?&](?:token|passphrase|password)=)[^&\s]*/g, '$1•••')
}
