// The addresses by which players get a stream and encoders send one. Pure.

/** Ports of the server's defaults; they are not part of the API. */
const rtspPort = 8554
const rtmpPort = 1935

export interface Address {
  readonly name: 'hls' | 'ts' | 'rtsp' | 'whep' | 'rtmp' | 'whip'
  readonly url: string
  /** The protocol takes the token in a header, not in the address: `Authorization: Bearer …`. */
  readonly header: boolean
}

interface Place {
  readonly origin: string
  readonly hostname: string
}

const query = (token: string): string => (token === '' ? '' : `?token=${encodeURIComponent(token)}`)

export function playAddresses(at: Place, channel: string, token: string): Address[] {
  const stream = `channels/${channel}`
  return [
    { name: 'hls', url: `${at.origin}/hls/${stream}/index.m3u8`, header: true },
    { name: 'ts', url: `${at.origin}/ts/${stream}${query(token)}`, header: false },
    { name: 'rtsp', url: `rtsp://${at.hostname}:${rtspPort}/${stream}${query(token)}`, header: false },
    { name: 'whep', url: `${at.origin}/whep/${stream}`, header: true },
  ]
}

export function pushAddresses(at: Place, channel: string, token: string): Address[] {
  const stream = `channels/${channel}`
  return [
    { name: 'rtsp', url: `rtsp://${at.hostname}:${rtspPort}/${stream}${query(token)}`, header: false },
    { name: 'rtmp', url: `rtmp://${at.hostname}:${rtmpPort}/${stream}${query(token)}`, header: false },
    { name: 'whip', url: `${at.origin}/whip/${stream}`, header: true },
  ]
}
