/** One thing that can be watched: a channel, or the programme of a meeting that is on. */
export interface Channel {
  /** What the viewer types. */
  readonly number: number
  readonly name: string
  /** The hub's stream name: `channels/cctv1`, `meetings/42/programme`. */
  readonly stream: string
  readonly live: boolean
  /** False when no browser can play it, not even through the transcoder. */
  readonly playable: boolean
  /** Why it is not live or not playable, in words; empty otherwise. */
  readonly reason: string
  /** Of its sounds, ISO 639-2; empty where the source does not say. */
  readonly languages: readonly string[]
}

/** The channel after (step 1) or before (step −1) the one that plays, round the end of the list. */
export function neighbour(channels: readonly Channel[], stream: string, step: 1 | -1): Channel | undefined {
  const at = channels.findIndex((c) => c.stream === stream)
  if (at < 0) return channels[0]
  return channels[(at + step + channels.length) % channels.length]
}
