/** Two tones every two seconds, made by the browser: no file to load, heard over talk. */
const tones = [
  { hertz: 880, at: 0 },
  { hertz: 660, at: 0.28 },
] as const
const pause = 2_000

/** The audible alarm. Belongs to the page that makes it; `close` ends it. */
export class Bell {
  private context: AudioContext | null = null
  private timer = 0
  private on = false

  /** Browsers give sound only after a click. Call it from one; returns whether sound is allowed now. */
  async allow(): Promise<boolean> {
    this.context ??= new AudioContext()
    // Without a click resume() neither ends nor fails.
    await Promise.race([this.context.resume(), new Promise((done) => setTimeout(done, 300))])
    return this.context.state === 'running'
  }

  /** Rings until told otherwise. */
  ring(on: boolean): void {
    if (on === this.on) return
    this.on = on
    clearInterval(this.timer)
    if (!on) return
    this.strike()
    this.timer = window.setInterval(() => this.strike(), pause)
  }

  /** Once, so that the user hears what was switched on. */
  strike(): void {
    const context = this.context
    if (context?.state !== 'running') return
    for (const { hertz, at } of tones) {
      const begin = context.currentTime + at
      const tone = context.createOscillator()
      const volume = context.createGain()
      tone.frequency.value = hertz
      volume.gain.setValueAtTime(0.0001, begin)
      volume.gain.exponentialRampToValueAtTime(0.4, begin + 0.02) // a ramp, not a click
      volume.gain.exponentialRampToValueAtTime(0.0001, begin + 0.25)
      tone.connect(volume).connect(context.destination)
      tone.start(begin)
      tone.stop(begin + 0.26)
    }
  }

  close(): void {
    this.ring(false)
    void this.context?.close()
    this.context = null
  }
}
