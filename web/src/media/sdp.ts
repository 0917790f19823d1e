/** The few places where SDP is read or changed by this page. Pure. */

export interface Codec {
  mimeType: string
  clockRate: number
  channels?: number
  sdpFmtpLine?: string
}

/** RED before Opus: Chromium sends redundant audio only when RED is the first codec of the answer. */
export function preferRed<T extends Codec>(codecs: readonly T[]): T[] {
  return rank(codecs, (codec) => {
    const name = codec.mimeType.toLowerCase()
    if (name === 'audio/red') return 0
    if (name === 'audio/opus') return 1
    return 2
  })
}

/**
 * H.264 constrained baseline with packetization mode 1 first: every decoder of the project plays it, and channels,
 * recordings and kiosks need no transcoding then.
 */
export function preferH264<T extends Codec>(codecs: readonly T[]): T[] {
  return rank(codecs, (codec) => {
    if (codec.mimeType.toLowerCase() !== 'video/h264') return 4
    const fmtp = codec.sdpFmtpLine ?? ''
    const single = !/packetization-mode=1/.test(fmtp)
    const baseline = /profile-level-id=42[eEcC]0/.test(fmtp)
    return (baseline ? 0 : 2) + (single ? 1 : 0)
  })
}

function rank<T>(items: readonly T[], order: (item: T) => number): T[] {
  return items
    .map((item, index) => ({ item, index, key: order(item) }))
    .sort((a, b) => a.key - b.key || a.index - b.index)
    .map(({ item }) => item)
}

/**
 * Asks our own encoder for in-band repair and for silence that costs next to nothing, by changing the Opus lines of the
 * server's answer: servers copy the parameters of the offer, where a browser does not put usedtx.
 */
export function tuneOpus(sdp: string): string {
  const lines = sdp.split(/\r?\n/)
  const types = new Set<string>()
  for (const line of lines) {
    const match = /^a=rtpmap:(\d+) opus\/48000/i.exec(line)
    if (match?.[1]) types.add(match[1])
  }
  const wanted = { usedtx: '1', useinbandfec: '1' }
  const done = new Set<string>()
  const result = lines.map((line) => {
    const match = /^a=fmtp:(\d+) (.*)$/.exec(line)
    const type = match?.[1]
    if (!type || !types.has(type)) return line
    done.add(type)
    const parameters = (match[2] ?? '')
      .split(';')
      .map((part) => part.trim())
      .filter((part) => part !== '')
    for (const [key, value] of Object.entries(wanted)) {
      const at = parameters.findIndex((part) => part.startsWith(`${key}=`))
      if (at >= 0) parameters[at] = `${key}=${value}`
      else parameters.push(`${key}=${value}`)
    }
    return `a=fmtp:${type} ${parameters.join(';')}`
  })
  // Opus without any fmtp line: add one behind its rtpmap.
  return result
    .flatMap((line) => {
      const type = /^a=rtpmap:(\d+) opus\/48000/i.exec(line)?.[1]
      return type && !done.has(type) ? [line, `a=fmtp:${type} usedtx=1;useinbandfec=1`] : [line]
    })
    .join('\r\n')
}

/** The body of the PATCH that restarts ICE (RFC 9725 section 4.3.3, RFC 8840), from the new local offer. */
export function iceFragment(offer: string): string {
  const lines = offer.split(/\r?\n/)
  const group = lines.find((line) => line.startsWith('a=group:BUNDLE'))
  const section = lines.slice(lines.findIndex((line) => line.startsWith('m=')))
  const end = section.findIndex((line, index) => index > 0 && line.startsWith('m='))
  const first = end < 0 ? section : section.slice(0, end)
  const attribute = (name: string) =>
    first.find((line) => line.startsWith(`a=${name}:`)) ?? lines.find((line) => line.startsWith(`a=${name}:`))
  const body = [
    ...(group ? [group] : []),
    first[0],
    attribute('mid'),
    attribute('ice-ufrag'),
    attribute('ice-pwd'),
    ...first.filter((line) => line.startsWith('a=candidate:')),
  ].filter((line): line is string => line !== undefined && line !== '')
  return body.join('\r\n') + '\r\n'
}

/** The answer of before with the ICE credentials and candidates that came back for a restart. Throws without them. */
export function spliceIce(answer: string, fragment: string): string {
  const fresh = fragment.split(/\r?\n/)
  const ufrag = fresh.find((line) => line.startsWith('a=ice-ufrag:'))
  const password = fresh.find((line) => line.startsWith('a=ice-pwd:'))
  if (!ufrag || !password) throw new Error('the answer to the ICE restart has no credentials')
  const candidates = [...new Set(fresh.filter((line) => line.startsWith('a=candidate:')))]
  const result: string[] = []
  for (const line of answer.split(/\r?\n/)) {
    if (line.startsWith('a=ice-ufrag:')) result.push(ufrag)
    else if (line.startsWith('a=ice-pwd:')) {
      result.push(password)
      result.push(...candidates)
    } else if (line.startsWith('a=candidate:') && candidates.length > 0) continue
    else result.push(line)
  }
  return result.join('\r\n')
}
