// What of a recording a browser can show as it was recorded. What it cannot, it can in the low rendition.
import type { Recording, Track } from '../recording'

/** all: picture and sound; silent: the picture alone; none: no picture, so there is nothing to play. */
export type Way = 'all' | 'silent' | 'none'

/** Media types (RFC 6381) of what the server calls codecs. Those that are not here play in no browser. */
const types: Readonly<Record<string, string>> = {
  H264: 'video/mp4; codecs="avc1.640028"',
  H265: 'video/mp4; codecs="hvc1.1.6.L120.90"',
  VP8: 'video/mp4; codecs="vp08.00.41.08"',
  AAC: 'audio/mp4; codecs="mp4a.40.2"',
  Opus: 'audio/mp4; codecs="opus"',
  MP2: 'audio/mpeg', // its decoder knows all three layers
  'AC-3': 'audio/mp4; codecs="ac-3"',
  'E-AC-3': 'audio/mp4; codecs="ec-3"',
}

function supported(type: string): boolean {
  return typeof MediaSource !== 'undefined' && MediaSource.isTypeSupported(type)
}

/** The tracks that are played: those of the main file, which are named first. */
function main(recording: Recording): readonly Track[] {
  const first = recording.tracks[0]?.stream
  return recording.tracks.filter((track) => track.stream === first)
}

/** How far this browser plays a recording as it was recorded; `can` says which media types it knows. */
export function wayOf(recording: Recording, can: (type: string) => boolean = supported): Way {
  const plays = (track: Track): boolean => {
    const type = types[track.codec]
    return type !== undefined && can(type)
  }
  const of = (kind: string): readonly Track[] => main(recording).filter((track) => track.kind === kind)
  const [pictures, sounds] = [of('video'), of('audio')]
  if (pictures.length > 0 && !pictures.some(plays)) return 'none'
  if (sounds.length === 0 || sounds.some(plays)) return 'all'
  return pictures.length === 0 ? 'none' : 'silent'
}

/**
 * Whether a player may change between a recording and its low rendition within one source: media source extensions
 * want the same tracks in the same buffers. A transport stream has picture and sound apart, the low rendition together.
 */
export function joined(recording: Recording): boolean {
  if (recording.format !== 'fmp4') return false
  const tracks = main(recording).filter((track) => track.kind !== 'other')
  const [pictures, sounds] = ['video', 'audio'].map((kind) => tracks.filter((track) => track.kind === kind))
  return (
    pictures?.length === 1 &&
    pictures[0]?.codec === 'H264' &&
    sounds !== undefined &&
    sounds.length <= 1 &&
    sounds.every((track) => track.codec === 'AAC')
  )
}

/** The codecs of a kind of track, each once; of all kinds when it is empty. */
export function codecsOf(recording: Recording, kind: string): string[] {
  const named = main(recording).filter(
    (track) => track.kind !== 'other' && (kind === '' || track.kind === kind),
  )
  return [...new Set(named.map((track) => track.codec))]
}
