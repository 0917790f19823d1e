// The product as a user meets it: the real server, real media, a real browser.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually, launch, missing, received, signIn } from './browser.mjs'
import { build, Server } from './server.mjs'

const options = { skip: missing, timeout: 240_000 }
let server, browser

before(async () => {
  if (missing) return
  server = await Server.make(build())
  await server.signIn()
  browser = await launch()
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
})

async function context() {
  const c = await browser.newContext({
    viewport: { width: 1366, height: 768 },
    permissions: ['camera', 'microphone'],
  })
  c.outside = []
  c.on('request', (r) => {
    const u = new URL(r.url())
    if (/^(http|ws)/.test(u.protocol) && u.origin !== server.base) c.outside.push(r.url())
  })
  return c
}

test('pages ask nothing of any other server, and log no error', options, async () => {
  const c = await context()
  const page = await c.newPage()
  const errors = []
  page.on('pageerror', (e) => errors.push(e.message))
  await signIn(page, server)
  await page.waitForSelector('[data-testid=meeting-demo]')
  for (const path of ['/console', '/kiosk', '/meetings/demo']) {
    await page.goto(server.base + path)
    await page.waitForLoadState('networkidle').catch(() => {}) // a kiosk that plays is never idle
  }
  assert.deepEqual(errors, [])
  assert.deepEqual(c.outside, [])
  await c.close()
})

test('three pages in one meeting see and hear one another, over AES-GCM', options, async () => {
  const c = await context()
  const pages = []
  await signIn(await c.newPage(), server)
  for (let i = 0; i < 3; i++) {
    const page = await c.newPage()
    await page.goto(`${server.base}/meetings/demo?autojoin=1`)
    pages.push(page)
  }
  for (const [i, page] of pages.entries()) {
    const got = await eventually(
      `page ${i} receives the two others`,
      () => received(page),
      (r) => r.video.length >= 2 && r.audio.length >= 2,
      120_000,
    )
    assert.match(got.cipher, /AEAD_AES_(128|256)_GCM/)
    const before = Math.min(...got.video)
    await eventually(
      `page ${i} goes on decoding`,
      () => received(page),
      (r) => r.video.length >= 2 && Math.min(...r.video) > before + 5,
    )
  }
  const live = await server.api('GET', '/meetings/demo')
  assert.equal(live.live, 3)
  await c.close()
})

test('a muted hand-raiser is seen so by the others', options, async () => {
  const c = await context()
  await signIn(await c.newPage(), server)
  const [a, b] = [await c.newPage(), await c.newPage()]
  for (const p of [a, b]) await p.goto(`${server.base}/meetings/demo?autojoin=1`)
  for (const p of [a, b]) await p.waitForSelector('[data-testid=room][data-connection=open]')
  const me = await a
    .locator('[data-testid=tile]')
    .evaluateAll((tiles) => tiles.map((t) => t.dataset.participant))
  assert.ok(me.length >= 1)
  await a.bringToFront()
  await a.keyboard.press('m')
  await eventually(
    'the other page shows a muted tile',
    () => b.locator('[data-testid=tile][data-muted=true]').count(),
    (n) => n >= 1,
  )
  await c.close()
})

test('a kiosk plays the channel, and again after the server was killed', options, async () => {
  const { token } = await server.api('POST', '/kiosks', { name: '王家村' })
  const c = await context()
  const page = await c.newPage()
  await page.goto(`${server.base}/kiosk?channel=demo&reload=off#token=${token}`)
  const position = () =>
    page.evaluate(() => Math.max(0, ...[...document.querySelectorAll('video')].map((v) => v.currentTime)))
  const first = await eventually('the channel plays', position, (t) => t > 1)
  await eventually('and goes on', position, (t) => t > first + 2)
  await server.end('SIGKILL')
  await server.start()
  await eventually(
    'it plays again',
    () =>
      page.evaluate(() =>
        [...document.querySelectorAll('video')].some(
          (v) => !v.paused && v.readyState >= 3 && v.currentTime > 0,
        ),
      ),
    (p) => p,
    120_000,
  )
  const again = await position()
  await eventually('and goes on again', position, (t) => t > again + 1 || (t > 1 && t < again), 120_000)
  assert.deepEqual(c.outside, [])
  await c.close()
})
