// Every file of a folder of real streams: what probe finds in it, what becomes of it as
// a channel that loops it, and whether a kiosk in Chromium shows it. Prints the table
// of docs/bench/captures.md.
//
//   node e2e/captures.mjs FOLDER
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { extname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { launch, missing } from './browser.mjs'
import { build, Server } from './server.mjs'

const run = promisify(execFile)
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

// How long a file may take to play or to be given up with its reason, and how long
// what plays is watched for more of its streams to become known.
const verdictTime = 8000
const settleTime = 4000
// How many are played at once.
const together = 12
// How long a kiosk may take to show a picture. A transcoder may have to start.
const kioskTime = 30_000
// Pictures after which a channel counts as playing; fewer are in some files.
const enough = 10

const folder = resolve(process.argv[2] ?? '')
if (!process.argv[2]) {
  console.error('usage: captures FOLDER')
  process.exit(2)
}
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((f) => f.isFile() && extname(f.name) !== '.md')
  .map((f) => join(f.parentPath, f.name))
  .sort()

const binary = build()
const server = await Server.make(binary)
const browser = missing ? undefined : await launch()
const rows = []
const counts = { played: 0, silent: 0, refused: 0, blank: 0 }
try {
  await server.signIn()
  const { token } = await server.api('POST', '/kiosks', { name: 'captures' })
  for (let at = 0; at < files.length; at += together) {
    const group = files.slice(at, at + together).map((file, i) => ({ file, id: `capture-${at + i}` }))
    for (const g of group) {
      g.probe = await probe(g.file)
      await server.api('POST', '/channels', { id: g.id, name: g.id, source: pathToFileURL(g.file).href })
      g.began = Date.now()
    }
    for (const g of group) g.channel = await verdict(g)
    for (const g of group) {
      if (browser && g.channel.state === 'live')
        g.seen = await watch(
          g.id,
          token,
          g.channel.tracks.some((t) => t.width),
        )
      if (g.seen && !g.seen.frames && !g.seen.sound) g.decodable = await decodable(g.file)
      rows.push(row(g))
      process.stderr.write(`${rows.length}/${files.length} ${relative(folder, g.file)}\n`)
      await server.api('DELETE', `/channels/${g.id}`)
    }
  }
} finally {
  await browser?.close()
  await server.close()
}
console.log(
  `${files.length} files, ${new Date().toISOString().slice(0, 10)}: ${counts.played} play in Chromium, ${counts.silent} of them sound alone; ` +
    `${counts.refused} say why they do not; ${counts.blank} are on air and show nothing.\n`,
)
console.log(
  '| file | services | codecs | state | frames decoded in Chromium | reason |\n|---|---|---|---|---|---|',
)
console.log(rows.join('\n'))

/** What is in a file by our own probe; null when nothing can be made of it. */
async function probe(file) {
  return run(binary, ['probe', file, '--json'], { maxBuffer: 64 << 20 }).then(
    (r) => JSON.parse(r.stdout),
    () => null,
  )
}

/** Waits until a channel plays or says why not, and a little for all its streams. */
async function verdict(g) {
  for (;;) {
    const c = await server.api('GET', `/channels/${g.id}`)
    const age = Date.now() - g.began
    if (age > verdictTime || (age > settleTime && (c.state === 'live' || c.state === 'refused'))) return c
    await sleep(100)
  }
}

/** Opens the kiosk page and returns what it showed: frames, or bytes of sound where no pictures are known. */
async function watch(id, token, pictures) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } })
  try {
    const page = await context.newPage()
    await page.goto(`${server.base}/kiosk?channel=${id}&reload=off#token=${token}`)
    const until = Date.now() + kioskTime
    let seen = { frames: 0, sound: 0, position: 0 }
    while (Date.now() < until && seen.frames < enough && (pictures || seen.position < 1)) {
      await sleep(200)
      seen = await page.evaluate(() => {
        const all = [...document.querySelectorAll('video, audio')]
        const most = (f) => Math.max(0, ...all.map((v) => f(v) ?? 0))
        return {
          frames: most((v) => v.getVideoPlaybackQuality?.().totalVideoFrames),
          sound: most((v) => v.webkitAudioDecodedByteCount),
          position: most((v) => (v.webkitAudioDecodedByteCount > 0 && !v.videoWidth ? v.currentTime : 0)),
        }
      })
    }
    return seen
  } finally {
    await context.close()
  }
}

/** How many pictures and pieces of sound ffmpeg finds whole in a file: what a player could show at most. */
async function decodable(file) {
  const args = '-v quiet -count_frames -show_entries stream=index,codec_type,nb_read_frames -of json'.split(
    ' ',
  )
  const { streams = [] } = await run('ffprobe', [...args, file], { maxBuffer: 16 << 20 }).then(
    (r) => JSON.parse(r.stdout),
    () => ({}),
  )
  const most = (kind) =>
    Math.max(0, ...streams.filter((s) => s.codec_type === kind).map((s) => Number(s.nb_read_frames) || 0))
  return { pictures: most('video'), sounds: most('audio') }
}

function row(g) {
  const services = g.probe?.services ?? []
  const names = services.slice(0, 3).map((s) => `${s.service_id} ${s.name}`.trim())
  if (services.length > 3) names.push(`and ${services.length - 3} more`)
  const codecs = (g.channel.tracks ?? []).map((t) =>
    t.width ? `${t.codec} ${t.width}×${t.height}` : t.codec,
  )
  const reason = g.channel.reason ? `${g.channel.reason.code}: ${g.channel.reason.en}` : ''
  let shown = ''
  if (g.seen?.frames > 0) {
    shown = String(g.seen.frames)
    counts.played++
  } else if (g.seen?.sound > 0) {
    shown = 'sound'
    counts.played++
    counts.silent++
  } else if (g.seen) {
    shown = `**none**; ffmpeg decodes ${g.decodable.pictures} pictures, ${g.decodable.sounds} pieces of sound`
    counts.blank++
  } else counts.refused++
  const cell = (s) => s.replaceAll('|', '\\|').replaceAll('\n', ' ')
  return `| ${[relative(folder, g.file), names.join(', '), codecs.join(', '), g.channel.state, shown, reason].map(cell).join(' | ')} |`
}
