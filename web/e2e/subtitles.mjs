// Subtitles as pictures (PGS, as on discs), which ffmpeg turns into DVB subtitles: real ones, without a capture.

function segment(time, type, body) {
  const head = Buffer.alloc(13)
  head.write('PG')
  head.writeUInt32BE(time, 2)
  head[10] = type
  head.writeUInt16BE(body.length, 11)
  return Buffer.concat([head, body])
}

const u16 = (...values) => Buffer.concat(values.map((v) => Buffer.from([v >> 8, v & 255])))

/** A white box that comes and goes each second, for some seconds. */
export function subtitles(seconds) {
  const [width, height, x, y] = [48, 24, 300, 500]
  const window = Buffer.concat([Buffer.from([1, 0]), u16(x, y, width, height)])
  const line = Buffer.from([0, 0x80 | width, 1, 0, 0])
  const picture = Buffer.concat(Array(height).fill(line))
  const parts = []
  for (let n = 0; n < seconds; n++) {
    const time = 90000 * n
    const composition = (objects) => Buffer.concat([u16(720, 576), Buffer.from([0x10]), u16(n), ...objects])
    if (n % 2 === 0) {
      const shown = [Buffer.from([0x80, 0, 0, 1, 0, 0, 0, 0]), u16(x, y)]
      const size = Buffer.from([0, (picture.length + 4) >> 8, (picture.length + 4) & 255])
      parts.push(
        segment(time, 0x16, composition(shown)),
        segment(time, 0x17, window),
        segment(time, 0x14, Buffer.from([0, 0, 1, 235, 128, 128, 255])),
        segment(
          time,
          0x15,
          Buffer.concat([u16(0), Buffer.from([0, 0xc0]), size, u16(width, height), picture]),
        ),
      )
    } else {
      parts.push(segment(time, 0x16, composition([Buffer.from([0, 0, 0, 0])])), segment(time, 0x17, window))
    }
    parts.push(segment(time, 0x80, Buffer.alloc(0)))
  }
  return Buffer.concat(parts)
}
