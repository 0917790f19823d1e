// What users go through, with the times it took. The tests assert the outcome, the
// benchmark prints the times.
import { eventually, received, signIn } from './browser.mjs'
import { Line } from './line.mjs'

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

export function newContext(browser) {
  return browser.newContext({
    viewport: { width: 1366, height: 768 },
    permissions: ['camera', 'microphone'],
  })
}

/** Opens a page that joins the demo meeting at once. */
export async function join(context, base) {
  const page = await context.newPage()
  await page.goto(`${base}/meetings/demo?autojoin=1`)
  await page.waitForSelector('[data-testid=room][data-connection=open]')
  return page
}

/** Three sites; one shares its screen; a plain WHEP player gets the programme. */
export async function shareAndWatch(server, browser) {
  const context = await newContext(browser)
  await signIn(await context.newPage(), server)
  const pages = []
  for (let i = 0; i < 3; i++) pages.push(await join(context, server.base))
  for (const [i, page] of pages.entries()) {
    await eventually(
      `page ${i} receives the two others`,
      () => received(page),
      (r) => r.video.length >= 2 && r.audio.length >= 2,
      120_000,
    )
  }
  const seen = pages.slice(1).map((page) =>
    page.evaluate(
      () =>
        new Promise((resolve) => {
          const look = () => {
            const v = document.querySelector('[data-testid=tile][data-label=screen] video')
            if (v && v.videoWidth > 0 && v.currentTime > 0) resolve(Date.now())
            else setTimeout(look, 10)
          }
          look()
        }),
    ),
  )
  await pages[0].bringToFront()
  const began = Date.now()
  await pages[0].click('[data-testid=bar-screen]')
  const screen = (await Promise.all(seen)).map((t) => t - began)

  const { token } = await server.api('POST', '/tokens', {
    subject: 'hall',
    role: 'viewer',
    stream: 'meetings/demo',
    ttl_s: 600,
  })
  const player = await context.newPage()
  await player.goto(`${server.base}/login`)
  const opened = Date.now()
  await player.evaluate(playWHEP, { path: '/whep/meetings/demo', token })
  const programme = await eventually(
    'the programme plays by WHEP',
    () => player.evaluate(() => window.playerStats()),
    (s) => s.frames > 5 && s.energy > 0,
  )
  programme.ms = Date.now() - opened
  const kiosk = await programmeOnKiosk(server, browser)
  await context.close()
  return { screen, programme, kiosk }
}

/** The meeting as a channel: a kiosk plays it by HLS while it is recorded. */
async function programmeOnKiosk(server, browser) {
  const { token } = await server.api('POST', '/kiosks', { name: '会议厅' })
  const { id } = await server.api('POST', '/recordings', { stream: 'meetings/demo' })
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${server.base}/kiosk?channel=meetings/demo/programme&reload=off#token=${token}`)
  const position = () =>
    page.evaluate(() => Math.max(0, ...[...document.querySelectorAll('video')].map((v) => v.currentTime)))
  const first = await eventually('the kiosk plays the programme', position, (t) => t > 0.5)
  await eventually('and goes on', position, (t) => t > first + 3)
  await context.close()
  await server.api('POST', `/recordings/${id}/stop`)
  return eventually(
    'the recording is complete',
    () => server.api('GET', `/recordings/${id}`),
    (r) => r.state !== 'recording',
  )
}

/** Runs in the page: a WHEP player of the plainest kind. */
async function playWHEP({ path, token }) {
  const pc = new RTCPeerConnection()
  pc.addTransceiver('video', { direction: 'recvonly' })
  pc.addTransceiver('audio', { direction: 'recvonly' })
  pc.ontrack = (e) => {
    const v = document.createElement(e.track.kind)
    v.srcObject = new MediaStream([e.track])
    v.autoplay = true
    document.body.append(v)
  }
  await pc.setLocalDescription(await pc.createOffer())
  const res = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` },
    body: pc.localDescription.sdp,
  })
  if (!res.ok) throw new Error(`${res.status} ${await res.text()}`)
  await pc.setRemoteDescription({ type: 'answer', sdp: await res.text() })
  window.playerStats = async () => {
    const out = { frames: 0, energy: 0, width: 0 }
    for (const s of (await pc.getStats()).values()) {
      if (s.type !== 'inbound-rtp') continue
      if (s.kind === 'video') {
        out.frames = s.framesDecoded ?? 0
        out.width = s.frameWidth ?? 0
      } else out.energy = s.totalAudioEnergy ?? 0
    }
    return out
  }
}

const tileOf = (page, id) =>
  page
    .locator(`[data-testid=tile][data-participant="${id}"][data-label=video]`)
    .evaluateAll((l) => (l[0] ? { ...l[0].dataset } : null))

/** Two sites, the first behind a line that can be cut, muted and with its hand up. */
async function behindALine(server, browser) {
  const line = await Line.make(server)
  const near = await newContext(browser)
  const far = await newContext(browser)
  await signIn(await near.newPage(), { base: line.base, password: server.password })
  await signIn(await far.newPage(), server)
  const a = await near.newPage()
  await line.lead(a)
  await a.goto(`${line.base}/meetings/demo?autojoin=1`)
  await a.waitForSelector('[data-testid=room][data-connection=open]')
  const b = await join(far, server.base)
  for (const [name, page] of [
    ['the site behind the line', a],
    ['the other site', b],
  ]) {
    await eventually(
      `${name} sees the other`,
      () => received(page),
      (r) => r.video.length >= 1,
    )
  }
  await a.bringToFront()
  await a.keyboard.press('m')
  await a.keyboard.press('h')
  const id = await eventually(
    'the other site sees mute and hand',
    () =>
      b
        .locator('[data-testid=tile][data-muted=true][data-hand=true]')
        .evaluateAll((l) => l[0]?.dataset.participant),
    (v) => v,
  )
  const close = async () => {
    await near.close()
    await far.close()
    line.close()
  }
  return { line, a, b, id, close }
}

const frames = async (page) => Math.max(0, ...(await received(page)).video)

/** Cuts the WebSocket for some seconds. */
export async function cutWebSocket(server, browser, seconds) {
  const { line, a, b, id, close } = await behindALine(server, browser)
  line.setTCP(false)
  await eventually(
    'the other site is told',
    () => tileOf(b, id),
    (t) => t?.connected === 'false',
    30_000,
  )
  const before = await frames(a)
  await sleep(seconds * 1000)
  const during = (await frames(a)) - before
  line.setTCP(true)
  const healed = Date.now()
  await a.waitForSelector('[data-testid=room][data-connection=open]', { timeout: 60_000 })
  const back = Date.now() - healed
  const tile = await eventually(
    'the seat is connected again',
    () => tileOf(b, id),
    (t) => t?.connected === 'true',
  )
  await close()
  return { back, during, tile }
}

/** Cuts the media for some seconds, both ways. */
export async function cutMedia(server, browser, seconds) {
  const { line, a, b, id, close } = await behindALine(server, browser)
  line.setUDP(false)
  await sleep(seconds * 1000)
  const [beforeA, beforeB] = [await frames(a), await frames(b)]
  line.setUDP(true)
  const healed = Date.now()
  await eventually(
    'the site behind the line sees the other again',
    () => frames(a),
    (n) => n > beforeA + 5,
  )
  const backA = Date.now() - healed
  await eventually(
    'the other site sees it again',
    () => frames(b),
    (n) => n > beforeB + 5,
  )
  const back = Math.max(backA, Date.now() - healed)
  const tile = await tileOf(b, id)
  await close()
  return { back, tile }
}

/** Records the demo channel, kills the server, starts it again and plays the file in the console. */
export async function killWhileRecording(server, browser, seconds, format = 'fmp4') {
  await eventually(
    'the demo channel is live',
    () => server.api('GET', '/channels/demo'),
    (c) => c.state === 'live',
  )
  const { id } = await server.api('POST', '/recordings', {
    stream: 'channels/demo',
    title: '测试节目',
    format,
  })
  await sleep(seconds * 1000)
  const killed = Date.now()
  await server.end('SIGKILL')
  await server.start()
  const recording = await server.api('GET', `/recordings/${id}`)
  const context = await newContext(browser)
  const page = await context.newPage()
  await signIn(page, server)
  await page.goto(`${server.base}/console#recordings`)
  await page.click(`[data-testid=recording-row][data-id="${id}"] [data-testid=recording-play]`)
  const length = await page.evaluate(async () => {
    const until = (ok) =>
      new Promise((resolve) => {
        const look = () => (ok() ? resolve() : setTimeout(look, 50))
        look()
      })
    await until(() => document.querySelector('[data-testid=recording-video]')?.readyState >= 3)
    const v = document.querySelector('[data-testid=recording-video]')
    v.muted = true
    v.currentTime = Math.max(0, v.duration - 1)
    await v.play()
    await until(() => v.ended)
    return v.currentTime
  })
  await context.close()
  return { recording, length, lost: (killed - Date.parse(recording.started)) / 1000 - length }
}
