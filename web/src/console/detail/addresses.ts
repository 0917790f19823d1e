// The addresses by which players get a stream and encoders send one. Pure.

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

/** The ports of protocols beside HTTP; 0 where the server has none. */
export interface Ports {
  readonly rtsp: number
  readonly rtmp: number
}

const query = (token: string): string => (token === '' ? '' : `?token=${encodeURIComponent(token)}`)

function plain(name: 'rtsp' | 'rtmp', port: number, at: Place, stream: string, token: string): Address[] {
  if (port === 0) return []
  return [{ name, url: `${name}://${at.hostname}:${port}/${stream}${query(token)}`, header: false }]
}

export function playAddresses(at: Place, ports: Ports, channel: string, token: string): Address[] {
  const stream = `channels/${channel}`
  return [
    { name: 'hls', url: `${at.origin}/hls/${stream}/index.m3u8`, header: true },
    { name: 'ts', url: `${at.origin}/ts/${stream}${query(token)}`, header: false },
    ...plain('rtsp', ports.rtsp, at, stream, token),
    { name: 'whep', url: `${at.origin}/whep/${stream}`, header: true },
  ]
}

export function pushAddresses(at: Place, ports: Ports, channel: string, token: string): Address[] {
  const stream = `channels/${channel}`
  return [
    ...plain('rtsp', ports.rtsp, at, stream, token),
    ...plain('rtmp', ports.rtmp, at, stream, token),
    { name: 'whip', url: `${at.origin}/whip/${stream}`, header: true },
  ]
}
