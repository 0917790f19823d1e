// A real Chromium with fake camera, microphone and screen.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

/** Why browser tests cannot run here; undefined when they can. */
export const missing = existsSync(executablePath) ? undefined : 'Chromium is not installed: run make test'

/** With `ask` the browser asks for devices, and nobody answers yes unless the context grants them. */
export function launch({ ask = false } = {}) {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-device-for-media-stream',
      ...(ask ? [] : ['--use-fake-ui-for-media-stream']),
      '--autoplay-policy=no-user-gesture-required',
      '--auto-accept-this-tab-capture',
    ],
  })
}

/** Signs a page in through the form. */
export async function signIn(page, server) {
  await page.goto(`${server.base}/login`)
  await page.fill('[data-testid=login-name]', 'admin')
  await page.fill('[data-testid=login-password]', server.password)
  await page.click('[data-testid=login-submit]')
  await page.waitForSelector('[data-testid=me]')
}

/** What a page receives: decoded frames per video slot, sound, and the cipher. */
export function received(page) {
  return page.evaluate(async () => {
    const pc = window.tongxiangDebug?.whep
    const out = { video: [], audio: [], cipher: '' }
    if (!pc) return out
    for (const s of (await pc.getStats()).values()) {
      if (s.type === 'transport') out.cipher = s.srtpCipher ?? ''
      if (s.type !== 'inbound-rtp') continue
      if (s.kind === 'video' && s.framesDecoded > 0) out.video.push(s.framesDecoded)
      if (s.kind === 'audio' && s.totalAudioEnergy > 0) out.audio.push(s.totalAudioEnergy)
    }
    return out
  })
}

/** Asks until the answer satisfies, or fails saying what was last seen. */
export async function eventually(what, ask, satisfied, patience = 60_000) {
  const until = Date.now() + patience
  let last
  while (Date.now() < until) {
    last = await ask()
    if (satisfied(last)) return last
    await new Promise((r) => setTimeout(r, 200))
  }
  throw new Error(`${what}: last seen ${JSON.stringify(last)}`)
}
