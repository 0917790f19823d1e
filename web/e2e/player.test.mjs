// The player of recordings with the real server: fMP4 with a gap and chapters, a transport stream as received, television
// that no browser decodes until its low rendition is made, both qualities, pictures over the seek bar, clips.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, launch, missing, signIn } from './browser.mjs'
import { sendGuide } from './eit.mjs'
import { build, freeUDP, Server } from './server.mjs'
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
const shots = process.env.TONGXIANG_TEST_SHOTS
const shot = (name, of = page) => shots && of.screenshot({ path: join(shots, `player-${name}.png`) })
const id = (name) => `[data-testid=${name}]`
const video = (ask, argument) => page.evaluate(ask, argument)
const now = () => video(() => document.querySelector('[data-testid=recording-video]')?.currentTime ?? 0)
/** Whether its sound is heard, and how many pictures were decoded. */
const decoded = () =>
  video(() => {
    const v = document.querySelector('[data-testid=recording-video]')
    return { sound: v.webkitAudioDecodedByteCount, pictures: v.getVideoPlaybackQuality().totalVideoFrames }
  })
const get = (recording) => server.api('GET', `/recordings/${recording}`)
const state = (channel) => server.api('GET', `/channels/${channel}`).then((c) => c.state)
const errors = []
const elsewhere = new Set()
const recordings = {}
const senders = []
let server, browser, context, page, port, news

async function record(name, channel, format, title) {
  const body = { stream: `channels/${channel}`, title, class: 'news', format }
  recordings[name] = (await server.api('POST', '/recordings', body)).id
}

async function recorded(name, seconds) {
  await eventually(
    `${seconds} s of ${name} are recorded`,
    () => get(recordings[name]),
    (r) => r.duration >= seconds,
  )
}

/** Opens a recording's page afresh: the list lies between it and the one before. */
async function open(name) {
  await page.goto(`${server.base}/console#/recordings`)
  await page.waitForSelector(id('recording-row'))
  await page.goto(`${server.base}/console#/recordings/${recordings[name]}`)
  await page.waitForSelector(id('recording-video'))
}

/** Clicks into the seek bar at a time. */
async function jump(seconds) {
  const bar = await page.locator(id('seek-bar')).boundingBox()
  // Between two sources it has no length.
  const total = await eventually(
    'its length is known',
    () => video(() => document.querySelector('[data-testid=recording-video]').duration || 0),
    (length) => length > 0,
  )
  await page.mouse.click(bar.x + (bar.width * seconds) / total, bar.y + bar.height / 2)
}

async function plays(what, beyond) {
  await eventually(what, now, (at) => at > beyond)
  assert.equal(await page.locator(id('unplayable')).count(), 0)
}

before(async () => {
  if (options.skip) return
  const ports = { film: await freeUDP(), mixed: await freeUDP() }
  port = await freeUDP()
  server = await Server.make(build(), { demo: false, config: 'jobs: {low: false, off_peak: ""}' })
  await server.signIn()
  news = send(port, [{ id: 1, name: '平凉新闻', content: content.moving }])
  senders.push(
    send(ports.film, [{ id: 1, name: '电影', content: content.bars }], { video: 'mpeg2', audio: 'mp2' }),
  )
  senders.push(send(ports.mixed, [{ id: 1, name: '公共', content: content.bars }], { audio: 'mp2' }))
  for (const [channel, name, p] of [
    ['news', '平凉新闻', port],
    ['film', '电影频道', ports.film],
    ['mixed', '公共频道', ports.mixed],
  ])
    await server.api('POST', '/channels', { id: channel, name, source: `udp://127.0.0.1:${p}` })
  for (const channel of ['news', 'film', 'mixed'])
    await eventually(
      `${channel} is live`,
      () => state(channel),
      (s) => s === 'live',
    )
  const began = Date.now()
  const guide = sendGuide(port, [
    {
      id: 1,
      events: [
        { id: 1, start: began - 600_000, end: began + 8_000, title: '早间新闻', text: '' },
        { id: 2, start: began + 8_000, end: began + 3_600_000, title: '农技课堂', text: '' },
      ],
    },
  ])
  await record('news', 'news', 'fmp4', '平凉新闻联播')
  await record('stream', 'news', 'ts', '平凉新闻（TS）')
  await record('film', 'film', 'ts', '老电影：平凉往事')
  await record('mixed', 'mixed', 'ts', '公共频道')
  await recorded('news', 16)
  await guide.end()
  await news.end()
  await eventually(
    'the source is away',
    () => state('news'),
    (s) => s !== 'live',
  )
  await new Promise((r) => setTimeout(r, 3000)) // the gap itself
  news = send(port, [{ id: 1, name: '平凉新闻', content: content.moving }])
  await recorded('news', 40)
  for (const name of Object.keys(recordings)) await server.api('POST', `/recordings/${recordings[name]}/stop`)
  for (const name of Object.keys(recordings))
    await eventually(
      `${name} is complete, with its pictures`,
      () => get(recordings[name]),
      (r) => r.state === 'complete' && r.has.sprite && r.has.thumbnail,
    )
  for (const s of senders.splice(0)) await s.end()
  browser = await launch()
  context = await browser.newContext({ viewport: { width: 1366, height: 768 }, locale: 'zh-CN' })
  context.on('request', (r) => {
    const { protocol, origin } = new URL(r.url())
    if (/^(http|ws)/.test(protocol) && origin !== server.base) elsewhere.add(origin)
  })
  page = await context.newPage()
  page.on('pageerror', (e) => errors.push(e.message))
  await signIn(page, server)
}, options)

after(async () => {
  await browser?.close()
  for (const s of senders) await s.end()
  await news?.end()
  await server?.close()
})

test('fMP4 plays; pictures, chapters and gaps are on the seek bar', options, async () => {
  await open('news')
  await plays('it plays', 1)
  const whole = await get(recordings.news)
  assert.ok(
    whole.gaps.length > 0 && whole.chapters.length === 2,
    JSON.stringify([whole.gaps, whole.chapters]),
  )
  assert.equal(await page.locator(id('chapter-mark')).count(), 2)
  assert.ok((await page.locator(id('gap')).count()) > 0)
  await page.locator(id('chapter')).filter({ hasText: '农技课堂' }).click()
  const start = whole.chapters[1].at_ms / 1000
  await eventually('it is at the chapter', now, (at) => at >= start - 0.3 && at < start + 4)
  await page.locator(id('gap-row')).first().click()
  const [gap] = whole.gaps
  await plays('it comes to the gap, and plays on behind it', gap.to_ms / 1000 + 1)
  const bar = await page.locator(id('seek-bar')).boundingBox()
  await page.mouse.move(bar.x + bar.width * 0.3, bar.y + bar.height / 2)
  const picture = page.locator(`${id('seek-preview')} .picture`)
  await picture.waitFor()
  const shown = await picture.evaluate((e) => ({
    sheet: getComputedStyle(e).backgroundImage,
    width: e.getBoundingClientRect().width,
  }))
  assert.match(shown.sheet, /\/sprite/)
  assert.ok(shown.width > 100)
  await shot('fmp4')
  await page.mouse.move(0, 0)
})

test('the knob is drawn along the seek bar, and one jump is made where it is let go', options, async () => {
  const bar = await page.locator(id('seek-bar')).boundingBox()
  const y = bar.y + bar.height / 2
  await video(() => {
    window.sought = 0
    document.querySelector('[data-testid=recording-video]').addEventListener('seeking', () => window.sought++)
  })
  await page.mouse.move(bar.x + bar.width * 0.05, y)
  await page.mouse.down()
  for (let i = 5; i <= 70; i++) await page.mouse.move(bar.x + (bar.width * i) / 100, y)
  await page.mouse.up()
  const total = await video(() => document.querySelector('[data-testid=recording-video]').duration)
  await eventually('it plays there', now, (at) => at > 0.69 * total)
  const sought = await video(() => window.sought)
  assert.ok(sought <= 3, `${sought} jumps`)
})

test('a low rendition is made, and the quality is changed while it plays', options, async () => {
  await server.api('POST', `/recordings/${recordings.news}/jobs`, { kind: 'rendition' })
  await server.api('POST', `/recordings/${recordings.stream}/jobs`, { kind: 'rendition' })
  for (const name of ['news', 'stream'])
    await eventually(
      `the low rendition of ${name} is there`,
      () => get(recordings[name]),
      (r) => r.has.low,
    )
  for (const name of ['news', 'stream']) {
    await open(name)
    await page.waitForSelector(id('player-quality'))
    // The source has 288 lines, and so has its low rendition: what is fetched tells them apart.
    const wanted = { low: '/low', full: '/file' }
    for (const quality of ['low', 'full', 'low', 'auto', 'full']) {
      if (wanted[quality]) {
        const asked = page.waitForRequest(
          (r) => r.url().endsWith(wanted[quality]) && r.url().includes(recordings[name]),
        )
        await page.selectOption(id('player-quality'), quality)
        await jump(quality === 'low' ? 2 : 27)
        await asked
      } else await page.selectOption(id('player-quality'), quality)
      const from = await now()
      await plays(`${name} goes on in ${quality} quality`, from + 1.5)
    }
    const { duration } = await get(recordings[name])
    const total = await video(() => document.querySelector('[data-testid=recording-video]').duration)
    assert.ok(Math.abs(total - duration) < 1, `${total} s, and ${duration} s are recorded`)
  }
})

test(
  'a transport stream as received plays, seeks over its gap, at any speed, and goes on where one stopped',
  options,
  async () => {
    await open('stream')
    await page.waitForSelector(id('player-quality'))
    await page.selectOption(id('player-quality'), 'full')
    await jump(2)
    await plays('it plays', 3)
    const { gaps } = await get(recordings.stream)
    assert.ok(gaps.length > 0)
    await jump(gaps[0].from_ms / 1000 - 2)
    await plays('it plays on behind the gap', gaps[0].to_ms / 1000 + 1)
    for (const speed of ['0.5', '2', '1']) {
      await page.selectOption(id('player-speed'), speed)
      const from = await now()
      await plays(`it goes on at ${speed}`, from + 0.5)
    }
    const before = await decoded()
    assert.ok(before.sound > 0 && before.pictures > 0, JSON.stringify(before))
    await jump(gaps[0].to_ms / 1000 + 6)
    const stopped = await eventually('it is put further on', now, (at) => at > gaps[0].to_ms / 1000 + 5)
    await page.click(id('player-back'))
    await eventually(
      'the server knows',
      () => get(recordings.stream),
      (r) => Math.abs(r.position_ms / 1000 - stopped) < 2,
    )
    await open('stream')
    await page.waitForSelector(id('resumed'))
    await plays('it goes on there', stopped + 0.5)
    await shot('ts')
  },
)

test('a clip is cut of a transport stream, and plays', options, async () => {
  await page.click(id('player-cut'))
  for (const [end, at] of [
    ['in', '4'],
    ['out', '9'],
  ]) {
    await page.fill(id(`cut-${end}`), at)
    await page.press(id(`cut-${end}`), 'Tab')
  }
  await page.fill(id('cut-title'), 'TS 片段')
  await page.click(id('cut-make'))
  await page.waitForSelector(`${id('cut-job')}[data-state=done]`, { timeout: 120_000 })
  await shot('clip')
  await page.click(id('cut-result'))
  await page.waitForSelector('h1:has-text("TS 片段")')
  await plays('the clip plays', 1)
  const length = await video(() => document.querySelector('[data-testid=recording-video]').duration)
  assert.ok(length >= 4.5 && length < 9, `${length} s, from key frame to key frame`)
})

test('what no browser decodes says so, has its low rendition made, and plays it', options, async () => {
  await open('film')
  await page.waitForSelector(id('needs-low'))
  await page.waitForSelector(id('low-make'))
  const said = await page.locator(id('needs-low')).innerText()
  assert.match(said, /MPEG-2/)
  await shot('needs-low')
  await page.click(id('low-make'))
  await page.waitForSelector(id('low-progress'))
  await shot('low-coming')
  await page.waitForSelector(id('low-only'), { timeout: 120_000 })
  await plays('the low rendition plays by itself', 1)
  const { sound, pictures } = await decoded()
  assert.ok(sound > 0 && pictures > 0, `${sound} bytes of sound, ${pictures} pictures`)
  await jump(20)
  await plays('it seeks', 21)
  await shot('low-only')
  await open('film')
  await plays('the next time it plays at once', 1)
})

test('H.264 with MPEG sound of layer II is seen and heard as it was recorded', options, async () => {
  await open('mixed')
  await plays('it plays', 2)
  assert.equal(await page.locator(id('silent')).count(), 0)
  const loud = await video(async () => {
    const sound = new AudioContext()
    const ear = sound.createAnalyser()
    sound.createMediaElementSource(document.querySelector('[data-testid=recording-video]')).connect(ear)
    await sound.resume()
    const samples = new Float32Array(ear.fftSize)
    let loudest = 0
    for (let i = 0; i < 40; i++) {
      await new Promise((r) => setTimeout(r, 50))
      ear.getFloatTimeDomainData(samples)
      loudest = Math.max(loudest, ...samples)
    }
    return loudest
  })
  assert.ok(loud > 0.05, `the loudest sample is ${loud}`) // ffmpeg's tone has an eighth of the whole
})

test('on a phone, and in English, nothing stands over the edge', options, async () => {
  const phone = await browser.newContext({
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
    locale: 'en-US',
    storageState: await context.storageState(),
  })
  const small = await phone.newPage()
  small.on('pageerror', (e) => errors.push(e.message))
  await small.addInitScript(() => localStorage.setItem('tongxiang.language', 'en'))
  for (const name of ['news', 'film']) {
    await small.goto(`${server.base}/console#/recordings/${recordings[name]}`)
    await eventually(
      'it plays',
      () => small.evaluate(() => document.querySelector('[data-testid=recording-video]')?.currentTime ?? 0),
      (at) => at > 1,
    )
    assert.equal(await small.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0)
    await shot(`phone-${name}`, small)
  }
  await phone.close()
})

test('nothing was asked of another host, and the pages threw nothing', options, () => {
  assert.deepEqual([...elsewhere], [])
  assert.deepEqual(errors, [])
})
