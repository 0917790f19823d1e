// Real transport streams on loopback UDP, made by ffmpeg while a test runs.
import { spawn } from 'node:child_process'

const picture = 'size=352x288:rate=25'
const encode = [
  '-c:v',
  'libx264',
  '-preset',
  'ultrafast',
  '-tune',
  'zerolatency',
  '-g',
  '25',
  '-pix_fmt',
  'yuv420p',
]

/** Television of before: what no browser decodes. */
const old = ['-c:v', 'mpeg2video', '-g', '12', '-bf', '2', '-pix_fmt', 'yuv420p']

/** What a programme shows and sounds like. All of the picture moves: a test card with a clock is frozen to the analysis. */
export const content = {
  moving: { video: `testsrc2=${picture},scroll=h=0.013`, audio: 'sine=frequency=440:sample_rate=48000' },
  bars: {
    video: `smptehdbars=${picture},scroll=h=0.007`,
    audio: 'sine=frequency=880:sample_rate=48000',
  },
  black: { video: `color=black:${picture}`, audio: 'anullsrc=r=48000:cl=stereo' },
}

/**
 * Sends programmes in one multiplex. Each is {id, name, content}. Returns the sender; `end()` stops it. `video` is h264
 * or mpeg2, `audio` what ffmpeg calls its encoder.
 */
export function send(port, programmes, { video = 'h264', audio = 'aac' } = {}) {
  const inputs = programmes.flatMap(({ content: c }) => [
    ...['-re', '-f', 'lavfi', '-i', c.video],
    ...['-re', '-f', 'lavfi', '-i', c.audio],
  ])
  const maps = programmes.flatMap((_, i) => ['-map', `${2 * i}:v`, '-map', `${2 * i + 1}:a`])
  const tables = programmes.flatMap((p, i) => [
    '-program',
    `program_num=${p.id}:title=${p.name}:st=${2 * i}:st=${2 * i + 1}`,
  ])
  const child = spawn(
    'ffmpeg',
    [
      ...[
        '-v',
        'error',
        '-nostdin',
        ...inputs,
        ...maps,
        ...(video === 'mpeg2' ? old : encode),
        '-b:v',
        '400k',
        '-maxrate',
        '600k',
        '-bufsize',
        '600k',
      ],
      ...['-c:a', audio, '-b:a', '64k', ...tables],
      ...['-f', 'mpegts', `udp://127.0.0.1:${port}?pkt_size=1316`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const said = []
  child.stderr.on('data', (b) => said.push(String(b)))
  const ended = new Promise((resolve) => child.once('close', resolve))
  return {
    said,
    async end() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
