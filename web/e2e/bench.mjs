// Timings as a browser sees them, against the real server on this machine; prints a
// markdown table for docs/bench. It measures and asserts nothing.
import { launch, signIn } from './browser.mjs'
import { cutMedia, cutWebSocket, killWhileRecording, shareAndWatch, sleep } from './scenarios.mjs'
import { build, Server } from './server.mjs'

const joins = Number(process.env.JOINS ?? 20)
const kiosks = Number(process.env.KIOSKS ?? 10)
const rounds = Number(process.env.ROUNDS ?? 3)

const at = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)]

function row(what, values) {
  const s = values.toSorted((a, b) => a - b)
  console.log(
    `| ${what} | ${s.length} | ${Math.round(at(s, 0.5))} | ${Math.round(at(s, 0.95))} | ${Math.round(s.at(-1))} |`,
  )
}

const server = await Server.make(build())
await server.signIn()
const browser = await launch()
const context = await browser.newContext({
  viewport: { width: 1366, height: 768 },
  permissions: ['camera', 'microphone'],
})
console.log('| ms | n | p50 | p95 | max |\n|---|---|---|---|---|')

// Somebody is in the meeting already; the time is from the click to the first decoded picture of him.
await signIn(await context.newPage(), server)
const first = await context.newPage()
await first.goto(`${server.base}/meetings/demo?autojoin=1`)
await first.waitForSelector('[data-testid=room][data-whip=connected]')
const times = []
for (let i = 0; i < joins; i++) {
  const page = await context.newPage()
  await page.goto(`${server.base}/meetings/demo`)
  await page.waitForSelector('[data-testid=join]:not([disabled])')
  await page.waitForTimeout(1000) // the preview's camera is running, as it is when a person clicks
  times.push(
    await page.evaluate(async () => {
      const start = performance.now()
      document.querySelector('[data-testid=join]').click()
      while (performance.now() - start < 30_000) {
        const pc = window.tongxiangDebug?.whep
        if (pc) {
          for (const s of (await pc.getStats()).values()) {
            if (s.type === 'inbound-rtp' && s.kind === 'video' && s.framesDecoded > 0)
              return performance.now() - start
          }
        }
        await new Promise((r) => setTimeout(r, 10))
      }
      return Infinity
    }),
  )
  await page.close()
}
row('join click → first decoded picture', times)
await first.close()

const { token } = await server.api('POST', '/kiosks', { name: 'bench' })
const opened = []
const delays = []
for (let i = 0; i < kiosks; i++) {
  const c = await browser.newContext()
  const page = await c.newPage()
  const start = Date.now()
  await page.goto(`${server.base}/kiosk?channel=demo&reload=off#token=${token}`)
  await page.waitForFunction(
    () => [...document.querySelectorAll('video')].some((v) => v.currentTime > 0 && v.readyState >= 3),
    undefined,
    { polling: 20 },
  )
  opened.push(Date.now() - start)
  await sleep(5000) // as a player that has settled
  delays.push(1000 * (await page.evaluate(() => window.tongxiangDelay())))
  await c.close()
}
row('kiosk page opened → channel plays', opened)
row("kiosk's picture behind its arrival at the server (LL-HLS)", delays)

const screens = []
const programmes = []
const webSockets = []
const lines = []
const lost = []
for (let i = 0; i < rounds; i++) {
  const { screen, programme } = await shareAndWatch(server, browser)
  screens.push(...screen)
  programmes.push(programme.ms)
  webSockets.push((await cutWebSocket(server, browser, 20)).back)
  lines.push((await cutMedia(server, browser, 10)).back)
  lost.push(1000 * (await killWhileRecording(server, browser, 8)).lost)
}
row('screen share click → the others see it', screens)
row('plain WHEP player: offer → programme plays (6 pictures, sound)', programmes)
row('WebSocket back after a cut of 20 s (seat, hand and mute kept)', webSockets)
row('media decoded again after UDP was cut for 10 s, both ways', lines)
row('recording lost by kill -9 of the server (start to kill, less what plays)', lost)

await browser.close()
await server.close()
