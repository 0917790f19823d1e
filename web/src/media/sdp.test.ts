import { describe, expect, it } from 'vitest'
import { iceFragment, preferH264, preferRed, spliceIce, tuneOpus } from './sdp'

const offer = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  'm=audio 9 UDP/TLS/RTP/SAVPF 63 111',
  'c=IN IP4 0.0.0.0',
  'a=candidate:1 1 udp 1 192.0.2.1 5000 typ host',
  'a=ice-ufrag:NEWu',
  'a=ice-pwd:newpassword',
  'a=mid:0',
  'a=sendonly',
  'm=video 9 UDP/TLS/RTP/SAVPF 108',
  'a=ice-ufrag:NEWu',
  'a=ice-pwd:newpassword',
  'a=mid:1',
  '',
].join('\r\n')

const answer = [
  'v=0',
  'a=group:BUNDLE 0 1',
  'a=ice-lite',
  'm=audio 9 UDP/TLS/RTP/SAVPF 63 111',
  'a=mid:0',
  'a=ice-ufrag:srv1',
  'a=ice-pwd:one',
  'a=rtpmap:111 opus/48000/2',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  'a=candidate:9 1 udp 1 192.0.2.9 8443 typ host',
  'm=video 9 UDP/TLS/RTP/SAVPF 108',
  'a=mid:1',
  'a=ice-ufrag:srv1',
  'a=ice-pwd:one',
  '',
].join('\r\n')

describe('preferences', () => {
  it('put RED before Opus and lose nothing', () => {
    const codecs = ['audio/opus', 'audio/red', 'audio/G722', 'audio/PCMU'].map((mimeType) => ({
      mimeType,
      clockRate: 48000,
    }))
    expect(preferRed(codecs).map((c) => c.mimeType)).toEqual([
      'audio/red',
      'audio/opus',
      'audio/G722',
      'audio/PCMU',
    ])
  })

  it('put H.264 constrained baseline, mode 1, first and lose nothing', () => {
    const codec = (mimeType: string, sdpFmtpLine = '') => ({ mimeType, clockRate: 90000, sdpFmtpLine })
    const sorted = preferH264([
      codec('video/VP8'),
      codec('video/rtx'),
      codec('video/H264', 'packetization-mode=0;profile-level-id=42e01f'),
      codec('video/H264', 'packetization-mode=1;profile-level-id=64001f'),
      codec('video/H264', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f'),
    ])
    expect(sorted.map((c) => c.sdpFmtpLine || c.mimeType)).toEqual([
      'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
      'packetization-mode=0;profile-level-id=42e01f',
      'packetization-mode=1;profile-level-id=64001f',
      'video/VP8',
      'video/rtx',
    ])
  })
})

describe('tuneOpus', () => {
  it('adds usedtx to the Opus line and leaves RED and video alone', () => {
    const tuned = tuneOpus(answer)
    expect(tuned).toContain('a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n')
    expect(tuned).toContain('a=fmtp:63 111/111\r\n')
    expect(tuned.replace(';usedtx=1', '')).toBe(answer)
  })

  it('replaces a refusal, adds a missing line, and is idempotent', () => {
    expect(tuneOpus('a=rtpmap:96 opus/48000/2\r\na=fmtp:96 usedtx=0')).toContain(
      'a=fmtp:96 usedtx=1;useinbandfec=1',
    )
    const added = tuneOpus('a=rtpmap:96 opus/48000/2\r\n')
    expect(added).toBe('a=rtpmap:96 opus/48000/2\r\na=fmtp:96 usedtx=1;useinbandfec=1\r\n')
    expect(tuneOpus(added)).toBe(added)
  })
})

describe('an ICE restart', () => {
  it('sends group, first m-line, mid, credentials and candidates', () => {
    expect(iceFragment(offer).split('\r\n')).toEqual([
      'a=group:BUNDLE 0 1',
      'm=audio 9 UDP/TLS/RTP/SAVPF 63 111',
      'a=mid:0',
      'a=ice-ufrag:NEWu',
      'a=ice-pwd:newpassword',
      'a=candidate:1 1 udp 1 192.0.2.1 5000 typ host',
      '',
    ])
  })

  it('puts the new credentials into every m-line of the old answer and keeps the rest', () => {
    const spliced = spliceIce(
      answer,
      'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:srv2\r\na=ice-pwd:two\r\n',
    )
    expect(spliced).toBe(answer.replaceAll('srv1', 'srv2').replaceAll('pwd:one', 'pwd:two'))
  })

  it('takes over new candidates, each once', () => {
    const candidate = 'a=candidate:5 1 udp 1 192.0.2.77 8443 typ host'
    const spliced = spliceIce(answer, `a=ice-ufrag:srv2\r\na=ice-pwd:two\r\n${candidate}\r\n${candidate}\r\n`)
    expect(spliced).not.toContain('192.0.2.9 ')
    expect(spliced.split(candidate).length - 1).toBe(2) // one in each m-line
  })

  it('refuses an answer without credentials', () => {
    expect(() => spliceIce(answer, 'a=mid:0')).toThrow()
  })
})
