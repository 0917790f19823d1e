// Channels as kiosks and browsers meet them: streams without IDR, thin lines, several
// languages, old players' formats. Real transport streams, the real server, Chromium.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, launch, missing } from './browser.mjs'
import { Line } from './line.mjs'
import { build, Server } from './server.mjs'
import { subtitles } from './subtitles.mjs'

const options = { skip: missing, timeout: 240_000 }
const captures =
  process.env.TONGXIANG_STREAMS ?? new URL('../../../shared/streams/', import.meta.url).pathname
const capture = join(captures, 'tsduck__tsduck-test/reference_test-093_test-093.1.ts')
// Why a test of a capture is skipped; false: it is there.
const without = (path) =>
  existsSync(path) ? false : 'no captures of real streams here: set TONGXIANG_STREAMS to their folder'
let server, browser, token

before(async () => {
  if (missing) return
  server = await Server.make(build())
  await server.signIn()
  browser = await launch()
  token = (await server.api('POST', '/kiosks', { name: '张家湾' })).token
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
})

/** Encodes half a minute and makes a channel of it. */
async function channel(id, video, sounds, seconds = 30) {
  const file = join(server.dir, `${id}.ts`)
  execFileSync('ffmpeg', [
    ...'-v error -f lavfi -i testsrc2=rate=25:size=720x576'.split(' '),
    ...'-f lavfi -i sine=frequency=440 -f lavfi -i sine=frequency=880'.split(' '),
    ...`-t ${seconds} -map 0:v ${sounds}`.split(' '),
    ...`-pix_fmt yuv420p ${video}`.split(' '),
    ...['-f', 'mpegts', file],
  ])
  await add(id, file)
  return file
}

async function add(id, file) {
  await server.api('POST', '/channels', { id, name: `频道 ${id}`, source: `file://${file}` })
  await eventually(
    'the channel is live',
    () => server.api('GET', `/channels/${id}`),
    (c) => c.state === 'live',
  )
}

const plain = '-c:v libx264 -preset ultrafast -b:v 2M -maxrate 2M -bufsize 1M -bf 2 -g 25 -sc_threshold 0'
const one = '-map 1:a -c:a aac -b:a 96k'

async function kiosk(id, query = '', base = server.base, context) {
  const c = context ?? (await browser.newContext({ viewport: { width: 1366, height: 768 } }))
  const page = await c.newPage()
  await page.goto(`${base}/kiosk?channel=${id}&reload=off${query}#token=${token}`)
  return { c, page }
}

/** What the kiosk's video element shows. */
function shown(page) {
  return page.evaluate(() => {
    const v = [...document.querySelectorAll('video')].find((v) => v.videoWidth > 0)
    if (!v) return null
    v.dataset.seen ??= String(performance.now())
    return {
      at: v.currentTime,
      width: v.videoWidth,
      frames: v.getVideoPlaybackQuality().totalVideoFrames,
      element: v.dataset.seen,
      error: v.error?.message ?? '',
    }
  })
}

async function plays(page, what, seconds = 4) {
  const first = await eventually(
    `${what} plays`,
    () => shown(page),
    (p) => p?.at > 0.3 && p.frames > 5,
    150_000, // renditions of the tests before may still hold the processor
  )
  return eventually(
    `${what} goes on`,
    () => shown(page),
    (p) => p?.at > first.at + seconds && p.frames > first.frames + 10 * seconds,
  )
}

test('a stream with open GOPs and no IDR plays', options, async () => {
  const whole = await channel(
    'whole',
    `${plain} -x264-params open-gop=1:keyint=27:min-keyint=27:b-adapt=0`,
    one,
  )
  const file = join(server.dir, 'open.ts')
  execFileSync('ffmpeg', ['-v', 'error', '-ss', '3', '-i', whole, '-c', 'copy', '-f', 'mpegts', file])
  await add('open', file)
  const { c, page } = await kiosk('open')
  await plays(page, 'it')
  await c.close()
})

test(
  'a capture with field pictures and recovery points plays',
  {
    ...options,
    skip: missing ?? without(capture),
  },
  async () => {
    await add('france', capture)
    const { c, page } = await kiosk('france')
    await plays(page, 'it')
    await c.close()
  },
)

test('the viewer chooses the quality, and it is remembered', options, async () => {
  await channel('fine', plain, one)
  const { c, page } = await kiosk('fine')
  assert.equal((await plays(page, 'the source')).width, 720)
  const widths = []
  for (const name of ['标清', '流畅']) {
    await page.keyboard.press('q')
    await page.waitForSelector(`[data-testid=kiosk-choice]:has-text("${name}")`)
    const before = widths.at(-1) ?? 720
    await eventually(
      `the picture of ${name}`,
      () => shown(page),
      (p) => p !== null && p.width < before && p.at > 1,
    )
    widths.push((await shown(page)).width)
  }
  assert.deepEqual(widths, [450, 300])
  const again = await kiosk('fine', '', server.base, c)
  assert.equal((await plays(again.page, 'the same quality')).width, 300)
  await c.close()
})

test('on a line of 1 Mbit/s the kiosk finds what the line carries, and plays on', options, async () => {
  await channel('thin', plain, one)
  const line = await Line.make(server)
  line.setRate(1_000_000)
  const { c, page } = await kiosk('thin', '', line.base)
  await eventually(
    'it plays a low rate',
    () => shown(page),
    (p) => p !== null && p.width < 720 && p.at > 1,
    120_000,
  )
  await plays(page, 'that', 5)
  await c.close()
  line.close()
})

test('a language is chosen without touching the picture, and remembered', options, async () => {
  await channel(
    'tongues',
    plain,
    '-map 1:a -map 2:a -c:a:0 aac -c:a:1 mp2 -b:a 96k -metadata:s:a:0 language=zho -metadata:s:a:1 language=tib',
  )
  const { c, page } = await kiosk('tongues')
  await plays(page, 'it')
  const sound = () => page.evaluate(() => window.tongxiangLevels().sound)
  assert.equal(await sound(), '普通话')
  const before = await shown(page)
  await page.keyboard.press('l')
  await page.waitForSelector('[data-testid=kiosk-choice]:has-text("藏语")')
  await eventually('the other sound is heard', sound, (s) => s === '藏语')
  const later = await plays(page, 'the picture', 3)
  assert.equal(later.element, before.element)
  const again = await kiosk('tongues', '', server.base, c)
  await plays(again.page, 'the other page')
  await eventually(
    'the choice is remembered',
    () => again.page.evaluate(() => window.tongxiangLevels().sound),
    (s) => s === '藏语',
  )
  await c.close()
})

test('WebRTC plays a low rate too', options, async () => {
  const { c, page } = await kiosk('fine', '&mode=whep&quality=350')
  assert.equal((await plays(page, 'it', 2)).width, 300)
  await c.close()
})

test('a source that changes its size plays on', options, async () => {
  const file = join(server.dir, 'sizes.ts')
  for (const [i, size] of ['720x576', '640x480'].entries()) {
    execFileSync('ffmpeg', [
      ...`-v error -f lavfi -i testsrc2=rate=25:size=${size} -f lavfi -i sine -t 10 ${plain} -pix_fmt yuv420p -c:a aac -output_ts_offset ${i * 10}`.split(
        ' ',
      ),
      ...['-f', 'mpegts', join(server.dir, `size${i}.ts`)],
    ])
  }
  execFileSync('sh', ['-c', `cat "${server.dir}/size0.ts" "${server.dir}/size1.ts" > "${file}"`])
  await add('sizes', file)
  const { c, page } = await kiosk('sizes')
  const first = await plays(page, 'it', 1)
  const widths = new Set([first.width])
  await eventually(
    'the other size is shown',
    async () => {
      const p = await shown(page)
      if (p) widths.add(p.width)
      return widths
    },
    (w) => w.size > 1,
  )
  const later = await plays(page, 'it', 2)
  assert.equal(later.element, first.element, 'the player was made anew')
  await c.close()
})

test('DVB subtitles are not in the way, though their times are wild', options, async () => {
  const file = join(server.dir, 'subtitled.ts')
  const pictures = join(server.dir, 'subtitles.sup')
  writeFileSync(pictures, subtitles(30))
  execFileSync('ffmpeg', [
    ...'-v fatal -f lavfi -i testsrc2=rate=25:size=720x576 -f lavfi -i sine=frequency=440'.split(' '),
    ...[
      '-i',
      pictures,
      ...`-t 30 -map 0:v ${one} -map 2:s -c:s dvbsub -metadata:s:s:0 language=chi`.split(' '),
    ],
    ...`-pix_fmt yuv420p ${plain} -f mpegts`.split(' '),
    file,
  ])
  await add('subtitled', file)
  const state = await server.api('GET', '/channels/subtitled')
  assert.equal(state.playable, 'direct')
  const { c, page } = await kiosk('subtitled')
  assert.equal((await plays(page, 'it')).width, 720)
  await c.close()
})

for (const [what, file] of [
  ['DVB subtitles and data', 'tsduck__tsduck-test/reference_test-206_test-206.1.ts'],
  ['teletext', 'tsduck__tsduck-test/reference_test-202_test-202.ts'],
]) {
  const path = join(captures, file)
  const skip = missing ?? without(path)
  test(`a capture with ${what} plays without them`, { ...options, skip }, async () => {
    const id = what.replaceAll(/\W/g, '')
    await add(id, path)
    const { c, page } = await kiosk(id)
    await plays(page, 'it', 2)
    await c.close()
  })
}
