// The check before a meeting, for somebody whose browser has not been told yet that it may use the camera.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, missing, signIn } from './browser.mjs'
import { build, Server } from './server.mjs'

const options = { skip: missing, timeout: 120_000 }
const id = (name) => `[data-testid=${name}]`
let server, browser

before(async () => {
  if (missing) return
  server = await Server.make(build())
  browser = await launch({ ask: true })
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
})

test(
  'a camera and a microphone allowed afterwards open at "try again", without a reload',
  options,
  async () => {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
    const page = await context.newPage()
    await signIn(page, server)
    await page.goto(`${server.base}/meetings/demo`)
    await page.waitForSelector(`${id('camera-problem')}:has-text("使用权限")`)
    await page.waitForSelector(`${id('mic-problem')}:has-text("使用权限")`)
    await context.grantPermissions(['camera', 'microphone'], { origin: server.base })
    await page.click(id('camera-again'))
    await page.click(id('mic-again'))
    await page.waitForSelector(id('preview'))
    await page.waitForSelector(id('mic-level'))
    assert.equal(await page.locator('[role=alert]').count(), 0)
    await context.close()
  },
)

test('a camera pulled out during the check is said to be gone', options, async () => {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] })
  const page = await context.newPage()
  await signIn(page, server)
  await page.goto(`${server.base}/meetings/demo`)
  await page.waitForSelector(id('preview'))
  // A browser ends the track of a device that has gone; nothing in a test can pull a cable.
  await page.evaluate(() =>
    document.querySelector('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended')),
  )
  await page.waitForSelector(`${id('camera-problem')}:has-text("已断开")`)
  await page.click(id('camera-again'))
  await page.waitForSelector(id('preview'))
  await context.close()
})
