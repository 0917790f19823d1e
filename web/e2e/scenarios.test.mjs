// What users go through: a shared screen, cut lines, a killed server.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, missing } from './browser.mjs'
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

test('a shared screen is seen, and a plain player gets the programme', options, async () => {
  const { screen, programme } = await shareAndWatch(server, browser)
  assert.equal(screen.length, 2)
  assert.ok(programme.frames > 5 && programme.energy > 0)
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

test('a recording plays after the server was killed', options, async () => {
  const { recording, length } = await killWhileRecording(server, browser, 8)
  assert.equal(recording.state, 'interrupted')
  assert.ok(recording.ended && recording.reason)
  assert.ok(length > 1)
})
