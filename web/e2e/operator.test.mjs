// What the operator does with broadcast: scan, wall, an alarm, a switch to the backup. Real streams, real server.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { eventually, launch, missing, signIn } from './browser.mjs'
import { build, freeUDP, Server } from './server.mjs'
import { sendGuide } from './eit.mjs'
import { content, send } from './streams.mjs'

function noFfmpeg() {
  try {
    execFileSync('ffmpeg', ['-version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'ffmpeg is not installed'
  }
}

const options = { skip: missing ?? noFfmpeg(), timeout: 300_000 }
const senders = []
let server, browser, page, ports
const errors = []
const outside = []

before(async () => {
  if (options.skip) return
  ports = { multiplex: await freeUDP(), news: await freeUDP(), backup: await freeUDP() }
  senders.push(
    send(ports.multiplex, [
      { id: 101, name: 'CCTV-1 综合', content: content.moving },
      { id: 102, name: '湖南卫视', content: content.bars },
    ]),
    send(ports.backup, [{ id: 1, name: '平凉新闻', content: content.bars }]),
  )
  server = await Server.make(build())
  await server.signIn()
  browser = await launch()
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 } })
  page = await context.newPage()
  page.on('pageerror', (e) => errors.push(e.message))
  context.on('request', (r) => {
    const u = new URL(r.url())
    if (/^(http|ws)/.test(u.protocol) && u.origin !== server.base) outside.push(r.url())
  })
  await signIn(page, server)
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
  for (const s of senders) await s.end()
})

const id = (name) => `[data-testid=${name}]`
const tile = (channel) => page.locator(`${id('tile')}[data-id=${channel}]`)

test(
  'a scan lists the programmes of a multiplex, and one click makes channels of them',
  options,
  async () => {
    await page.goto(`${server.base}/console#/scan`)
    await page.fill(id('scan-source'), 'no address')
    await page.click(id('scan-start'))
    await page.waitForSelector(id('scan-problem'))
    await page.fill(id('scan-source'), `udp://127.0.0.1:${ports.multiplex}`)
    await page.click(id('scan-start'))
    await page.waitForSelector(`${id('scan-state')}[data-state=done]`, { timeout: 60_000 })
    assert.equal(await page.locator(id('service')).count(), 2)
    assert.equal(await page.inputValue(id('scan-id-101')), 'cctv-1')
    await page.fill(id('scan-id-102'), 'hunan')
    await page.click(id('scan-create'))
    await eventually(
      'both are channels',
      () =>
        server
          .api('GET', '/channels?limit=500')
          .then((l) => l.items.map((c) => `${c.id} ${c.program ?? 0} ${c.state}`)),
      (all) => all.includes('cctv-1 101 live') && all.includes('hunan 102 live'),
    )
    assert.equal(await page.locator(`${id('service')} a[href="#/wall/hunan"]`).count(), 1)
  },
)

test(
  'a channel with a backup is added by the dialog, and its errors stand at the fields',
  options,
  async () => {
    senders.push(send(ports.news, [{ id: 1, name: '平凉新闻', content: content.moving }]))
    await page.goto(`${server.base}/console#/channels`)
    await page.click(id('channel-add'))
    await page.fill(id('channel-name'), '平凉新闻')
    await page.fill(id('channel-id'), 'hunan')
    await page.fill(id('channel-source'), `udp://127.0.0.1:${ports.news}`)
    await page.click(id('backup-add'))
    await page.fill(id('backup-0'), `udp://127.0.0.1:${ports.backup}`)
    await page.click(id('preset-off'))
    await page.click(id('form-submit'))
    await page.waitForSelector(`.el-form-item.is-error:has(${id('channel-id')})`)
    await page.fill(id('channel-id'), 'news')
    await page.click(id('form-submit'))
    const made = await eventually(
      'the channel is live',
      () => server.api('GET', '/channels/news').catch(() => ({})),
      (c) => c.state === 'live',
    )
    assert.deepEqual(made.switch.on, [])
    assert.deepEqual(
      made.sources.map((s) => s.address),
      [`udp://127.0.0.1:${ports.news}`, `udp://127.0.0.1:${ports.backup}`],
    )
  },
)

test(
  'the wall shows pictures of all channels, and a source that turns black raises an alarm',
  options,
  async () => {
    await page.goto(`${server.base}/console#/wall`)
    for (const channel of ['cctv-1', 'hunan', 'news']) {
      await eventually(
        `a picture of ${channel}`,
        () => tile(channel).evaluate((e) => e.querySelector('img')?.naturalWidth ?? 0),
        (width) => width > 0,
        90_000,
      )
    }
    // A machine out of breath may lose packets; the picture must be in order.
    assert.doesNotMatch(await tile('news').getAttribute('data-alarms'), /black|frozen|no_signal/)
    await page.click(id('wall-sound'))
    assert.equal(await page.getAttribute(id('wall-sound'), 'aria-pressed'), 'true')
    await senders.pop().end()
    senders.push(send(ports.news, [{ id: 1, name: '平凉新闻', content: content.black }]))
    await eventually(
      'the alarm',
      () => tile('news').getAttribute('data-alarms'),
      (alarms) => alarms.split(' ').includes('black'),
      120_000,
    )
    assert.match(await page.title(), /^\(\d+\) /)
    await eventually(
      'silencing it',
      async () => {
        // A second fault of the black source (silence) may begin meanwhile, and rings anew.
        if (await page.isEnabled(id('wall-acknowledge'))) await page.click(id('wall-acknowledge'))
        return page.isDisabled(id('wall-acknowledge'))
      },
      (silenced) => silenced,
    )
    assert.doesNotMatch(await tile('hunan').getAttribute('data-alarms'), /black|frozen|no_signal/)
  },
)

test('the detail shows why, and a switch to the backup ends the alarm', options, async () => {
  await tile('news').click()
  await page.waitForSelector(id('detail-alarm'))
  await eventually(
    'the preview plays',
    () => page.evaluate(() => document.querySelector('[data-testid=watch-video]')?.currentTime ?? 0),
    (at) => at > 0.5,
    90_000,
  )
  await page.click(id('switch-1'))
  await page.click('.el-message-box .el-button--danger')
  await page.waitForSelector(`${id('source')}[data-active=true]:nth-child(2)`, { timeout: 60_000 })
  await page.click(id('tab-checks'))
  await page.waitForSelector(id('check-continuity_count_error'))
  await page.click(id('tab-pids'))
  await page.waitForSelector(id('pid'))
  await page.click(id('tab-history'))
  await page.waitForSelector(id('history'))
  await page.keyboard.press('Escape')
  await eventually(
    'the tile is well and marked as on its backup',
    () => tile('news').evaluate((e) => `${e.dataset.backup} ${e.dataset.alarms}`),
    (now) => now.startsWith('true') && !/black|silent/.test(now),
    120_000,
  )
})

test('the guide of the multiplex is shown, read and searched', options, async () => {
  const now = Date.now()
  const at = (minutes) => now + minutes * 60_000
  senders.push(
    sendGuide(ports.multiplex, [
      {
        id: 101,
        events: [
          { id: 1, start: at(-20), end: at(25), title: '新闻联播', text: '今日要闻。', genre: 2 },
          { id: 2, start: at(25), end: at(60), title: '天气预报', text: '' },
          { id: 3, start: at(60), end: at(120), title: '致富经', text: '春耕备耕的实用技术。' },
        ],
      },
      { id: 102, events: [{ id: 1, start: at(30), end: at(90), title: '新闻大求真', text: '' }] },
    ]),
  )
  await eventually(
    'the guide is there',
    () => server.api('GET', '/epg?limit=100'),
    (l) => l.total >= 4,
  )
  await page.goto(`${server.base}/console#/guide`)
  await page.waitForSelector(id('guide-row'))
  await page.click(`${id('guide-event')}:has-text("新闻联播")`)
  await page.waitForSelector(`${id('guide-dialog')}:has-text("今日要闻。")`)
  await page.keyboard.press('Escape')
  await page.focus(`${id('guide-event')}:has-text("新闻联播")`)
  await page.keyboard.press('ArrowRight')
  await eventually(
    'an arrow key leads to the next event',
    () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? ''),
    (label) => label.endsWith('天气预报'),
  )
  await page.fill(id('guide-search'), '新闻')
  await eventually(
    'two characters find both',
    () => page.locator(id('guide-result')).count(),
    (n) => n === 2,
  )
  await page.goto(`${server.base}/console#/channels`)
  await page.waitForSelector(`[data-id=cctv-1] ${id('channel-now')}:has-text("新闻联播")`)
})

test('no page asked another server or failed', options, async () => {
  await page.goto(`${server.base}/console#/outputs`)
  await page.waitForSelector(id('empty'))
  assert.deepEqual(errors, [])
  assert.deepEqual(outside, [])
})
