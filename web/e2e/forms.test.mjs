// Forms of the console as they are filled in for the first time: what is usual is taken, what lacks is said in
// the page's language and in sight.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually, launch, missing, signIn } from './browser.mjs'
import { build, Server } from './server.mjs'

const options = { skip: missing, timeout: 120_000 }
const id = (name) => `[data-testid=${name}]`
let server, browser, page

before(async () => {
  if (missing) return
  server = await Server.make(build(), { demo: false })
  await server.signIn()
  browser = await launch()
  page = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage()
  await signIn(page, server)
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
})

test('a channel with a backup is saved with the usual rule, and shows no password', options, async () => {
  await page.goto(`${server.base}/console#/channels`)
  await page.click(id('channel-add'))
  await page.click(id('form-submit'))
  await page.waitForSelector(`${id('form-problem')}:has-text("请填写“名称”")`)
  await eventually(
    'the notice is in sight',
    () => page.locator(id('form-problem')).evaluate((e) => e.getBoundingClientRect().top),
    (top) => top > -1 && top < 800,
  )
  await page.fill(id('channel-name'), '会议中心')
  await page.fill(id('channel-id'), 'hall')
  await page.fill(id('channel-source'), 'udp://127.0.0.1')
  await page.click(id('form-submit'))
  await page.waitForSelector(`${id('form-problem')}:has-text("信号源地址无效")`)
  await page.waitForSelector('.el-form-item__error:has-text("端口")')
  await page.fill(id('channel-source'), 'rtsp://viewer:geheim@127.0.0.1:1/main')
  await page.click(id('backup-add'))
  await page.fill(id('backup-0'), 'onvif://viewer:geheim@127.0.0.1:1')
  await page.click(id('form-submit'))
  await page.waitForSelector(`${id('channel-row')}[data-id=hall]`)
  assert.doesNotMatch(await page.locator(id('channel-row')).innerText(), /geheim/)
})

test('an output takes a bit rate of whole Mbit/s', options, async () => {
  await page.goto(`${server.base}/console#/outputs`)
  await page.click(id('output-add'))
  await page.fill(id('output-id'), 'uplink')
  await page.click(`.el-select:has(${id('output-stream')}), ${id('output-stream')}`)
  await page.click('.el-select-dropdown__item:has-text("会议中心")')
  await page.fill(id('output-address'), 'udp://127.0.0.1:9')
  await page.locator('.el-dialog .el-input-number input').first().fill('4')
  await page.click(id('form-submit'))
  await page.waitForSelector(id('output-row'))
  const { items } = await server.api('GET', '/outputs')
  assert.equal(items[0].bitrate, 4_000_000)
})
