// Event information (ETSI EN 300 468 5.2.4) as transport packets, for the programme guide. ffmpeg writes none.
import { createSocket } from 'node:dgram'

const pid = 0x12
const day = 86_400_000
/** A schedule table covers four days in 32 segments of three hours. */
const segment = 3 * 3_600_000

function crc32(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte << 24
    for (let i = 0; i < 8; i++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  }
  return crc >>> 0
}

const bcd = (n) => ((Math.floor(n / 10) << 4) | (n % 10)) & 0xff
const u16 = (n) => [(n >> 8) & 0xff, n & 0xff]

/** Modified Julian date and UTC (annex C). */
function time(at) {
  const date = new Date(at)
  const mjd = Math.floor(at / day) + 40_587
  return [...u16(mjd), bcd(date.getUTCHours()), bcd(date.getUTCMinutes()), bcd(date.getUTCSeconds())]
}

function span(ms) {
  const s = Math.round(ms / 1000)
  return [bcd(Math.floor(s / 3600)), bcd(Math.floor(s / 60) % 60), bcd(s % 60)]
}

/** UTF-8 with its selector byte (annex A.2). */
const words = (text) => [0x15, ...Buffer.from(text, 'utf8')]

/** The event of a service: {id, start, end, title, text, genre?}. */
function event(e, running) {
  const [title, text] = [words(e.title), words(e.text ?? '')]
  const short = [
    0x4d,
    5 + title.length + text.length,
    ...Buffer.from('chi'),
    title.length,
    ...title,
    text.length,
    ...text,
  ]
  const content = [0x54, 2, (e.genre ?? 0) << 4, 0]
  const descriptors = [...short, ...content]
  const length = descriptors.length
  return [
    ...u16(e.id),
    ...time(e.start),
    ...span(e.end - e.start),
    (running << 5) | (length >> 8),
    length & 0xff,
    ...descriptors,
  ]
}

function section(table, service, number, last, lastOfSegment, events, version) {
  const loop = events.flatMap(([e, running]) => event(e, running))
  const body = [
    ...u16(service),
    0xc1 | (version << 1),
    number,
    last,
    ...u16(1), // transport_stream_id and original_network_id as ffmpeg has them
    ...u16(0xff01),
    lastOfSegment,
    table === 0x4e ? 0x4e : 0x51,
    ...loop,
  ]
  const length = body.length + 4
  const head = [table, 0xf0 | (length >> 8), length & 0xff, ...body]
  const crc = crc32(head)
  return Buffer.from([...head, (crc >>> 24) & 0xff, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff])
}

/** All sections of the guide of services, {id, events}, as of now. */
export function sections(services, now) {
  const found = []
  const midnight = Math.floor(now / day) * day
  for (const { id, events } of services) {
    const current = events.find((e) => e.start <= now && now < e.end)
    const next = events.find((e) => e.start > now)
    found.push(section(0x4e, id, 0, 1, 1, current ? [[current, 4]] : [], 0))
    found.push(section(0x4e, id, 1, 1, 1, next ? [[next, 1]] : [], 0))
    for (const table of [0x50, 0x51]) {
      const from = midnight + (table - 0x50) * 4 * day
      for (let i = 0; i < 32; i++) {
        const begin = from + i * segment
        const mine = events.filter((e) => e.start >= begin && e.start < begin + segment && e.end > now)
        found.push(
          section(
            table,
            id,
            8 * i,
            8 * 31,
            8 * i,
            mine.map((e) => [e, 0]),
            0,
          ),
        )
      }
    }
  }
  return found
}

/** Packets of sections, each beginning in one of its own. */
function packets(list, counter) {
  const out = []
  for (const bytes of list) {
    let rest = Buffer.concat([Buffer.from([0]), bytes]) // pointer_field
    for (let first = true; rest.length > 0; first = false) {
      const packet = Buffer.alloc(188, 0xff)
      packet.set([0x47, (first ? 0x40 : 0) | (pid >> 8), pid & 0xff, 0x10 | counter.n], 0)
      packet.set(rest.subarray(0, 184), 4)
      rest = rest.subarray(184)
      counter.n = (counter.n + 1) & 15
      out.push(packet)
    }
  }
  return out
}

/** Sends the guide again and again to a port to which ffmpeg sends the programmes. */
export function sendGuide(port, services, now = Date.now()) {
  const socket = createSocket('udp4')
  const counter = { n: 0 }
  let queue = []
  const timer = setInterval(() => {
    if (queue.length === 0) queue = packets(sections(services, now), counter)
    // 7 packets every 10 ms are 1 Mbit/s.
    socket.send(Buffer.concat(queue.splice(0, 7)), port, '127.0.0.1')
  }, 10)
  return {
    async end() {
      clearInterval(timer)
      await new Promise((done) => socket.close(done))
    },
  }
}
