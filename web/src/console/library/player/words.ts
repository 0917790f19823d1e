// Codes of the server in the words of the page; a code that is new here is shown as it is.

type Say = (key: string) => string

const reasons: ReadonlySet<string> = new Set([
  'interrupted',
  'server_stopped',
  'nothing_came',
  'no_signal',
  'unplayable',
  'no_transport_stream',
  'source_changed',
  'tracks_left_out',
  'reader_lagged',
  'disk_full',
  'disk_read_only',
  'disk_stalled',
  'disk_slow',
  'disk_error',
  'storage_taken',
  'file_missing',
  'failed',
])

/** Why there is a gap. */
export function reasonText(say: Say, code: string): string {
  return reasons.has(code) ? say(`player.reasons.${code}`) : code || say('player.reasons.unknown')
}

const kinds: ReadonlySet<string> = new Set([
  'start',
  'agenda',
  'speaker',
  'join',
  'leave',
  'screen',
  'slide',
  'rollcall',
  'vote',
  'programme',
  'mark',
])

/** What kind of chapter it is; empty for one without a word of its own. */
export function kindText(say: Say, kind: string): string {
  return kinds.has(kind) ? say(`player.kinds.${kind}`) : ''
}
