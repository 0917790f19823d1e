// How far behind its source a picture is in the browser, by the time that it carries. Prints a
// markdown table for docs/bench/browser.md; measures and asserts nothing.
import { eventually, launch } from './browser.mjs'
import { encoders, pattern, programme, readClock } from './clock.mjs'
import { build, freeUDP, Server } from './server.mjs'

const seconds = Number(process.env.SECONDS ?? 20)
const at = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)]

const server = await Server.make(build(), { demo: false })
await server.signIn()
const { token } = await server.api('POST', '/kiosks', { name: 'bench' })
const browser = await launch()
console.log('| ms behind the source | pictures | p50 | p95 | max |\n|---|---|---|---|---|')

async function measure(name, id, query) {
  const c = await browser.newContext({ viewport: { width: 1366, height: 768 } })
  const page = await c.newPage()
  await page.goto(`${server.base}/kiosk?channel=${id}&reload=off${query}#token=${token}`)
  await eventually(
    `${name} plays`,
    () =>
      page.evaluate(() =>
        [...document.querySelectorAll('video')].some((v) => v.videoWidth > 0 && v.currentTime > 1),
      ),
    (p) => p,
  )
  await page.waitForTimeout(6000) // as a player that has settled
  const { delays, damaged } = await page.evaluate(readClock, { seconds, ...pattern })
  const s = delays.toSorted((a, b) => a - b)
  console.log(
    `| ${name} | ${s.length} | ${at(s, 0.5)} | ${at(s, 0.95)} | ${s.at(-1)} |${damaged > 0 ? ` ${damaged} unreadable` : ''}`,
  )
  await c.close()
}

for (const [kind, encoder] of Object.entries(encoders)) {
  const port = await freeUDP()
  const stop = programme(port, encoder)
  await server.api('POST', '/channels', { id: kind, name: kind, source: `udp://127.0.0.1:${port}` })
  await eventually(
    'the channel is live',
    () => server.api('GET', `/channels/${kind}`),
    (c) => c.state === 'live',
  )
  await measure(`${kind}, WHEP`, kind, '&mode=whep')
  await measure(`${kind}, LL-HLS`, kind, '')
  if (kind === 'satellite') {
    await measure(`${kind}, 800 kbit/s, WHEP`, kind, '&mode=whep&quality=800')
    await measure(`${kind}, 350 kbit/s, LL-HLS`, kind, '&quality=350')
  }
  await server.api('DELETE', `/channels/${kind}`)
  await stop()
}
await browser.close()
await server.close()
