import type { Language } from './locales'
import type { Quality } from './quality'
import type { Sound } from './sound'

/** What a player tells its owner. Nothing more comes after stop. */
export interface PlayerEvents {
  /** The first picture (or sound) is out. */
  playing(): void
  /** It will not recover by itself: make a new one. why is the server's sentence for people, when it gave one. */
  failed(cause: string, why?: string): void
  /** The browser plays without sound until somebody presses a key. */
  silenced(): void
  /** There is a choice of sounds, and which of them is heard. */
  sounds(list: readonly Sound[], heard: number): void
}

/** What the viewer and the device want of a player. */
export interface Wanted {
  readonly quality: Quality
  /** The device's line, bits a second; 0 when unknown. */
  readonly line: number
  /** Of the server's sentences. */
  readonly language: Language
  /** The key of the sound that was chosen last; empty: the stream's own choice. */
  readonly sound: string
}

/** The server's sentence in an answer that is an error (RFC 9457); empty when there is none. */
export function sentence(body: unknown): string {
  try {
    const problem: unknown = typeof body === 'string' ? JSON.parse(body) : body
    const detail = (problem as { detail?: unknown } | null)?.detail
    return typeof detail === 'string' ? detail : ''
  } catch {
    return ''
  }
}

/** One attempt to play one stream in one video element. It never restarts itself; the machine decides that. */
export interface Player {
  /** Frees the connection, the decoder and every buffer. */
  stop(): void
  /** Changes the sound without interrupting the picture; absent when only a new player can. */
  hear?(index: number): void
}

/**
 * Starts the element with sound, or without where the browser's autoplay rule wants a key pressed first.
 */
export async function begin(video: HTMLVideoElement, events: PlayerEvents): Promise<void> {
  try {
    await video.play()
  } catch (cause) {
    if (!(cause instanceof DOMException) || cause.name !== 'NotAllowedError') return // stopped meanwhile
    video.muted = true
    events.silenced()
    await video.play().catch(() => events.failed('autoplay'))
  }
}

/** Empties the element so that its decoder and its media source can be collected. */
export function release(video: HTMLVideoElement): void {
  video.pause()
  video.srcObject = null
  video.removeAttribute('src')
  video.load()
}
