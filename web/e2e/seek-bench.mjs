// How long a viewer waits after a jump in a recording of three hours over a thin line, in Chromium with the page's own
// player; prints a markdown table for docs/bench/seek.md. It measures and asserts nothing. The recording and its server
// are bench/seek's.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { launch, signIn } from './browser.mjs'
import { ThinLine } from './thin.mjs'

const jumps = Number(process.env.JUMPS ?? 20)
const trip = Number(process.env.TRIP ?? 40)
const rates = (process.env.RATES ?? '2000000').split(',').map(Number)
const qualities = (process.env.QUALITIES ?? 'low,auto').split(',')
const length = process.env.LENGTH ?? '3h'
/** How long a viewer looks at a place, in ms: the player is still filling its buffer when he jumps again. */
const look = Number(process.env.LOOK ?? 800)

/** Builds bench/seek and has it make and serve the recording; or takes the one that runs: SERVER='URL ID PASSWORD'. */
async function serve() {
  if (process.env.SERVER) {
    const [base, id, password] = process.env.SERVER.split(' ')
    return { port: Number(new URL(base).port), id, password, end: () => undefined }
  }
  const dir = mkdtempSync(join(tmpdir(), 'seek-bench-'))
  const binary = join(dir, 'seek')
  execFileSync('go', ['build', '-o', binary, './bench/seek'], {
    cwd: new URL('../..', import.meta.url).pathname,
    stdio: 'inherit',
  })
  const child = spawn(binary, ['-length', length, '-serve', '15m'], { stdio: ['ignore', 'inherit', 'pipe'] })
  const ended = new Promise((resolve) => child.once('close', resolve))
  const found = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (l) => {
      const m = /http:\/\/127\.0\.0\.1:(\d+)\/recordings\/(\S+) as \S+, password (\S+)/.exec(l)
      if (m) resolve({ port: Number(m[1]), id: m[2], password: m[3] })
      else console.error(l)
    })
    child.once('close', (code) => reject(new Error(`bench/seek ended with ${code}`)))
  })
  return {
    ...found,
    async end() {
      child.kill('SIGTERM')
      await ended
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

const server = await serve()
const line = await ThinLine.make(server.port)
const browser = await launch()
const video = '[data-testid=recording-video]'

/** Has the page measure the next jump: from the beginning of seeking to the first frame of the new place. */
function arm(page) {
  return page.evaluate((selector) => {
    const v = document.querySelector(selector)
    const from = v.currentTime
    window.benchJump = new Promise((resolve) => {
      let began = 0
      let to = 0
      v.addEventListener(
        'seeking',
        () => {
          began = performance.now()
          to = v.currentTime
        },
        { once: true },
      )
      const late = setTimeout(() => resolve(null), 60_000)
      const frame = (_, { mediaTime }) => {
        if (began > 0 && Math.abs(mediaTime - to) < 0.5) {
          clearTimeout(late)
          resolve({ ms: performance.now() - began, to, from })
        } else v.requestVideoFrameCallback(frame)
      }
      v.requestVideoFrameCallback(frame)
    })
  }, video)
}

/** Waits until the server makes no pictures of the recording any more. */
async function idle(page) {
  for (let i = 0; i < 120; i++) {
    const busy = await page.evaluate(async () => {
      const jobs = async (state) => (await (await fetch(`/api/v1/jobs?state=${state}`)).json()).items ?? []
      return [...(await jobs('running')), ...(await jobs('queued')).filter((j) => !j.off_peak)].length
    })
    if (busy === 0) return
    await page.waitForTimeout(500)
  }
}

const at = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0

async function run(rate, quality) {
  line.set(0, 0)
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 } })
  const page = await context.newPage()
  await signIn(page, { base: line.base, password: server.password })
  await page.goto(`${line.base}/console#/recordings`)
  await page.waitForSelector('[data-testid=recording-row]')
  await idle(page)
  line.set(rate, trip)
  const opened = performance.now()
  await page.evaluate((id) => (location.hash = `#/recordings/${id}`), server.id)
  await page.waitForSelector(video)
  const first = await page.evaluate(
    (selector) =>
      new Promise((resolve) =>
        document.querySelector(selector).requestVideoFrameCallback(() => resolve(performance.now())),
      ),
    video,
  )
  const ready = performance.now() - opened
  if (quality !== 'auto') await page.selectOption('[data-testid=player-quality]', quality)
  await page.waitForTimeout(3000)
  const bar = await page.locator('[data-testid=seek-bar]').boundingBox()
  const waits = []
  const heights = []
  for (let i = 0; i < jumps; i++) {
    await arm(page)
    // Places all over the recording, in no order: the golden ratio.
    const share = ((i + 1) * 0.618_033_988_75) % 1
    if (quality === 'auto') await page.mouse.click(bar.x + bar.width * share, bar.y + bar.height / 2)
    else
      await page.evaluate(
        ([s, part]) => {
          const v = document.querySelector(s)
          v.currentTime = part * (v.duration - 1)
        },
        [video, share],
      )
    const jump = await page.evaluate(() => window.benchJump)
    waits.push(jump?.ms ?? 60_000)
    heights.push(await page.evaluate((s) => document.querySelector(s).videoHeight, video))
    await page.waitForTimeout(look)
  }
  const w = waits.toSorted((a, b) => a - b)
  const cells = [
    `${rate / 1e6} Mbit/s`,
    quality,
    ready.toFixed(0),
    [at(w, 0.5), at(w, 0.95), w.at(-1)].map((v) => v.toFixed(0)).join(' / '),
    [...new Set(heights)].join(', '),
  ]
  console.log(`| ${cells.join(' | ')} |`)
  if (process.env.VERBOSE) console.error(waits.map((v) => v.toFixed(0)).join(' '), first.toFixed(0))
  await context.close()
}

try {
  console.log(
    '| line | quality | opened, until its first picture, ms | jump to first picture, ms (p50 / p95 / max) | lines of the picture |',
  )
  console.log('|---|---|---|---|---|')
  for (const rate of rates) for (const quality of qualities) await run(rate, quality)
} finally {
  await browser.close()
  line.close()
  await server.end()
}
