// A programme whose pictures carry the time at which they were made, as blocks that a
// machine can read: what a browser shows is compared with the clock of the same machine.
import { spawn } from 'node:child_process'

export const width = 640
export const height = 360
/** Milliseconds modulo 2^24, four and a half hours, one column a bit. */
const bits = 24
const column = Math.floor(width / bits)
const band = 48

/** Draws a time into the two bands at the top: as it is, and inverted, so that a damaged reading is known. */
function draw(frame, time, count) {
  for (let bit = 0; bit < bits; bit++) {
    const on = (time >> (bits - 1 - bit)) & 1
    for (let y = 0; y < 2 * band; y++) {
      const white = y < band ? on : 1 - on
      frame.fill(white ? 235 : 16, y * width + bit * column, y * width + (bit + 1) * column)
    }
  }
  // Something that moves below, so that the encoder has work.
  for (let y = 2 * band; y < height; y++) {
    const from = y * width
    for (let x = 0; x < width; x += 16)
      frame.fill(16 + ((x + 3 * y + 7 * count + ((x * y) >> 6)) & 0xdf), from + x, from + x + 16)
  }
}

/** How encoders of sources work. */
export const encoders = {
  /** A camera or a video wall: no picture waits for another. */
  camera:
    '-c:v libx264 -preset superfast -tune zerolatency -bf 0 -g 25 -b:v 1500k -maxrate 1500k -bufsize 750k',
  /** Satellite: pictures refer to later ones. The encoder's own delay is part of what is measured. */
  satellite:
    '-c:v libx264 -preset superfast -bf 2 -g 25 -rc-lookahead 0 -sc_threshold 0 -b:v 1500k -maxrate 1500k -bufsize 750k',
}

/** Sends the programme to a UDP port until stop is called. */
export function programme(port, encoder) {
  const ffmpeg = spawn(
    'ffmpeg',
    [
      ...`-v error -f rawvideo -pix_fmt gray -video_size ${width}x${height} -framerate 25 -i pipe:0`.split(
        ' ',
      ),
      ...'-re -f lavfi -i sine=frequency=440:sample_rate=48000 -map 0:v -map 1:a -pix_fmt yuv420p -threads 1'.split(
        ' ',
      ),
      ...encoder.split(' '),
      ...'-c:a aac -b:a 64k -muxdelay 0 -muxpreload 0 -pat_period 0.1 -pcr_period 20 -f mpegts'.split(' '),
      `udp://127.0.0.1:${port}?pkt_size=1316`,
    ],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  )
  const ended = new Promise((resolve) => ffmpeg.once('close', resolve))
  ffmpeg.stdin.on('error', () => {})
  const began = performance.now()
  let count = 0
  let timer
  const next = () => {
    const frame = Buffer.alloc(width * height)
    draw(frame, Date.now() % 2 ** bits, count)
    ffmpeg.stdin.write(frame)
    count++
    timer = setTimeout(next, Math.max(0, began + count * 40 - performance.now()))
  }
  next()
  return async () => {
    clearTimeout(timer)
    ffmpeg.stdin.destroy()
    ffmpeg.kill('SIGKILL')
    await ended
  }
}

/** Runs in the page: reads the blocks of each picture that is shown, for some seconds; returns delays in ms. */
export function readClock({ seconds, width, height, bits, column, band }) {
  const video = [...document.querySelectorAll('video')].find((v) => v.videoWidth > 0)
  const canvas = new OffscreenCanvas(width, 2 * band)
  const context = canvas.getContext('2d', { willReadFrequently: true })
  const delays = []
  let damaged = 0
  const read = () => {
    // The picture may have been made smaller: it is drawn at its first size.
    context.drawImage(
      video,
      0,
      0,
      video.videoWidth,
      (2 * band * video.videoHeight) / height,
      0,
      0,
      width,
      2 * band,
    )
    const now = Date.now()
    const { data } = context.getImageData(0, 0, width, 2 * band)
    const light = (bit, y) => data[4 * (y * width + Math.floor((bit + 0.5) * column))]
    let time = 0
    for (let bit = 0; bit < bits; bit++) {
      const [a, b] = [light(bit, band / 2), light(bit, 1.5 * band)]
      if (Math.abs(a - b) < 64) {
        damaged++
        return
      }
      time = 2 * time + (a > b ? 1 : 0)
    }
    delays.push((now - time + 2 ** bits) % 2 ** bits)
  }
  return new Promise((resolve) => {
    const until = performance.now() + 1000 * seconds
    const onFrame = () => {
      read()
      if (performance.now() < until) video.requestVideoFrameCallback(onFrame)
    }
    video.requestVideoFrameCallback(onFrame)
    setTimeout(() => resolve({ delays, damaged }), 1000 * seconds + 200)
  })
}

export const pattern = { width, height, bits, column, band }
