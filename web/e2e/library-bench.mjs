// How the library's page scrolls over many recordings, in Chromium; prints a markdown table for docs/bench. It
// measures and asserts nothing.
//
//   node e2e/library-bench.mjs           recordings made up in the browser: the page alone
//   REAL=1 node e2e/library-bench.mjs    a server whose library was filled by bench/library
import { execFileSync } from 'node:child_process'
import { launch, signIn } from './browser.mjs'
import { build, Server } from './server.mjs'
import { answerLibrary } from './made-up-library.mjs'

const total = Number(process.env.TOTAL ?? 100_000)
const seconds = Number(process.env.SECONDS ?? 6)
const jumps = Number(process.env.JUMPS ?? 40)

const server = await Server.make(build(), { demo: false })
if (process.env.REAL) {
  const { password } = server
  await server.end()
  execFileSync(
    'go',
    ['run', './bench/library', '-recordings', total, '-fill', `${server.dir}/data/tongxiang.db`],
    {
      cwd: new URL('../..', import.meta.url).pathname,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  await server.start()
  server.password = password
}
const browser = await launch()
const page = await (await browser.newContext({ viewport: { width: 1366, height: 768 } })).newPage()
await signIn(page, server)
if (!process.env.REAL) {
  const thumbnail = execFileSync('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180', '-frames:v', '1', '-f', 'mjpeg', '-'],
  ])
  await answerLibrary(page, total, thumbnail)
}
await page.goto(`${server.base}/console#/recordings`)
await page.waitForSelector('[data-testid=recording-row]')
const cdp = await page.context().newCDPSession(page)
// Processor time, not the clock's: other programs of the machine are not the page's work.
await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })

async function spent() {
  const { metrics } = await cdp.send('Performance.getMetrics')
  const of = (name) => metrics.find((m) => m.name === name)?.value ?? 0
  return {
    work: of('TaskDuration'),
    nodes: of('Nodes'),
    heap: of('JSHeapUsedSize'),
  }
}

const at = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0

console.log(
  '| scrolled | frames | frame p50 ms | p95 | p99 | max | over 50 ms | processor of the page’s thread per frame ms | frames with an empty row % | elements | heap MB |',
)
console.log('|---|---|---|---|---|---|---|---|---|---|---|')

/** Scrolls so many pixels a frame and notes each frame. */
async function run(what, step) {
  await page.evaluate(() => (document.querySelector('[data-testid=library-list]').scrollTop = 0))
  await page.waitForTimeout(800)
  const before = await spent()
  const seen = await page.evaluate(
    async ({ step, ms }) => {
      const box = document.querySelector('[data-testid=library-list]')
      const frames = []
      let empty = 0
      let elements = 0
      const rows = () => [...box.querySelectorAll('[data-testid=recording-coming]')]
      const next = () => new Promise((r) => requestAnimationFrame(r))
      let last = await next()
      const end = last + ms
      const whole = box.scrollHeight - box.clientHeight
      const pixels = step > 0 ? step : (whole / ms) * 16.7
      while (last < end) {
        box.scrollTop += pixels
        const now = await next()
        frames.push(now - last)
        last = now
        const bounds = box.getBoundingClientRect()
        const inSight = (e) => {
          const r = e.getBoundingClientRect()
          return r.bottom > bounds.top && r.top < bounds.bottom
        }
        if (rows().some(inSight)) empty++
        elements = Math.max(elements, box.querySelectorAll('[role=listitem]').length)
      }
      return { frames, empty, elements, top: box.scrollTop, whole }
    },
    { step, ms: seconds * 1000 },
  )
  const after = await spent()
  const s = seen.frames.toSorted((a, b) => a - b)
  const cells = [
    `${what} (to ${Math.round((100 * seen.top) / seen.whole)} %)`,
    s.length,
    ...[at(s, 0.5), at(s, 0.95), at(s, 0.99), s.at(-1)].map((v) => v.toFixed(1)),
    s.filter((v) => v > 50).length,
    ((1000 * (after.work - before.work)) / s.length).toFixed(2),
    ((100 * seen.empty) / s.length).toFixed(0),
    seen.elements,
    (after.heap / 1e6).toFixed(0),
  ]
  console.log(`| ${cells.join(' | ')} |`)
}

await run('slowly, 20 px a frame', 20)
await run('a wheel, 100 px a frame', 100)
await run('thrown, 1,000 px a frame', 1000)
await run('the scroll bar drawn from top to bottom', 0)

const waits = await page.evaluate(async (jumps) => {
  const box = document.querySelector('[data-testid=library-list]')
  const out = []
  const frame = () => new Promise((r) => requestAnimationFrame(r))
  for (let i = 0; i < jumps; i++) {
    const to = ((i * 61_803) % 100_000) / 100_000
    box.scrollTop = to * (box.scrollHeight - box.clientHeight)
    const from = performance.now()
    await frame()
    await frame()
    const bounds = box.getBoundingClientRect()
    const inSight = (e) => {
      const r = e.getBoundingClientRect()
      return r.bottom > bounds.top && r.top < bounds.bottom
    }
    while ([...box.querySelectorAll('[data-testid=recording-coming]')].some(inSight)) {
      if (performance.now() - from > 20_000) break
      await frame()
    }
    out.push(performance.now() - from)
  }
  return out
}, jumps)
const w = waits.toSorted((a, b) => a - b)
console.log(
  `\nA jump to a far place, until all rows in sight are filled: ${jumps} jumps, p50 ${at(w, 0.5).toFixed(0)} ms, p95 ${at(w, 0.95).toFixed(0)} ms, max ${w.at(-1).toFixed(0)} ms (90 ms of it are the rest that tells a jump from a throw).`,
)
await browser.close()
await server.close()
