// What users go through: a shared screen, cut lines, a killed server.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, launch, missing } from './browser.mjs'
import { cutMedia, cutWebSocket, killWhileRecording, shareAndWatch } from './scenarios.mjs'
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

test('a shared screen is seen, and a plain player and a kiosk get the programme', options, async () => {
  const { screen, programme, kiosk } = await shareAndWatch(server, browser)
  assert.equal(screen.length, 2)
  assert.ok(programme.frames > 5 && programme.energy > 0)
  assert.equal(kiosk.state, 'complete')
  assert.ok(kiosk.duration > 2 && kiosk.bytes > 10_000)
})

test(
  'a cut WebSocket is resumed with seat, hand and mute, and media goes on meanwhile',
  options,
  async () => {
    const { during, tile } = await cutWebSocket(server, browser, 20)
    assert.ok(during > 20, `decoded ${during} pictures during the cut`)
    assert.equal(tile.muted, 'true')
    assert.equal(tile.hand, 'true')
  },
)

test('media resumes without a click after the line was dead', options, async () => {
  const { tile } = await cutMedia(server, browser, 10)
  assert.equal(tile.muted, 'true')
  assert.equal(tile.hand, 'true')
})

test('satellite television in MPEG-2 and MP2 plays on a kiosk, by HLS and by WebRTC', options, async () => {
  const file = join(server.dir, 'sd.ts')
  execFileSync('ffmpeg', [
    ...[
      '-v',
      'error',
      '-f',
      'lavfi',
      '-i',
      'testsrc2=rate=25:size=720x576',
      '-f',
      'lavfi',
      '-i',
      'sine=frequency=440',
    ],
    ...[
      '-t',
      '20',
      '-vf',
      'setsar=16/15',
      '-c:v',
      'mpeg2video',
      '-flags',
      '+ildct+ilme',
      '-bf',
      '2',
      '-g',
      '12',
    ],
    ...['-b:v', '3M', '-c:a', 'mp2', '-b:a', '192k', '-ar', '48000', '-f', 'mpegts', file],
  ])
  await server.api('POST', '/channels', { id: 'sd', name: '卫视标清', source: `file://${file}` })
  const channel = await eventually(
    'the channel is live',
    () => server.api('GET', '/channels/sd'),
    (c) => c.state === 'live',
  )
  assert.equal(channel.playable, 'needs_transcoding')
  const { token } = await server.api('POST', '/kiosks', { name: '李家沟' })
  for (const mode of ['hls', 'whep']) {
    const c = await browser.newContext()
    const page = await c.newPage()
    await page.goto(`${server.base}/kiosk?channel=sd&mode=${mode}&reload=off#token=${token}`)
    const picture = () =>
      page.evaluate(() => {
        const playing = [...document.querySelectorAll('video')].filter((v) => v.videoWidth > 0)
        return playing.map((v) => ({ at: v.currentTime, width: v.videoWidth, height: v.videoHeight }))[0]
      })
    const first = await eventually(`it plays by ${mode}`, picture, (p) => p?.at > 0.5)
    assert.deepEqual([first.width, first.height], [768, 576])
    await eventually(`and goes on by ${mode}`, picture, (p) => p?.at > first.at + 2)
    await c.close()
  }
  await server.api('DELETE', '/channels/sd')
})

for (const format of ['fmp4', 'ts']) {
  test(`a recording in ${format} plays after the server was killed`, options, async () => {
    const { recording, length } = await killWhileRecording(server, browser, 8, format)
    assert.equal(recording.state, 'interrupted')
    assert.ok(recording.ended && recording.reason)
    assert.equal(recording.format, format)
    assert.ok(length > 1)
  })
}
