/** What a key of a keyboard or a remote control asks for. */
export type Command =
  | { kind: 'up' | 'down' | 'channelUp' | 'channelDown' | 'louder' | 'quieter' | 'ok' | 'back' | 'any' }
  | { kind: 'quality' | 'sound' }
  | { kind: 'digit'; digit: number }

type Named = Exclude<Command['kind'], 'digit'>

// Arrows, Enter and digits are all that every TV browser sends; the other names are those of
// Android TV and of presenters' remotes.
const named = new Map<string, Named>([
  ['ArrowUp', 'up'],
  ['ArrowDown', 'down'],
  ['ArrowLeft', 'quieter'],
  ['ArrowRight', 'louder'],
  ['ChannelUp', 'channelUp'],
  ['ChannelDown', 'channelDown'],
  ['PageUp', 'channelUp'],
  ['PageDown', 'channelDown'],
  ['AudioVolumeUp', 'louder'],
  ['AudioVolumeDown', 'quieter'],
  ['Enter', 'ok'],
  ['Select', 'ok'],
  ['Guide', 'ok'],
  ['Escape', 'back'],
  ['GoBack', 'back'],
  ['BrowserBack', 'back'],
  ['Backspace', 'back'],
  // The coloured keys of a remote control, and letters of a keyboard.
  ['ColorF0Red', 'quality'],
  ['ColorF1Green', 'sound'],
  ['MediaAudioTrack', 'sound'],
  ['q', 'quality'],
  ['l', 'sound'],
])

/** Translates KeyboardEvent.key. Every other key is `any`: it still unlocks the sound. */
export function command(key: string): Command {
  if (/^[0-9]$/.test(key)) return { kind: 'digit', digit: Number(key) }
  return { kind: named.get(key) ?? named.get(key.toLowerCase()) ?? 'any' }
}
