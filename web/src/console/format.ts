/** Words for sizes and times. Pure; `language` is a page language. */

/** Bytes as people read them on a disk: 1,2 GB with decimal units. */
export function bytes(n: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let value = n
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Bits per second, as operators write them: 3.2 Mbit/s. */
export function bitrate(bps: number): string {
  if (bps >= 1_000_000) return `${(bps / 1_000_000).toFixed(1)} Mbit/s`
  return `${Math.round(bps / 1000)} kbit/s`
}

/** Bits per second in the room that a tile of the wall has: 3.2M, 812k. */
export function shortBitrate(bps: number): string {
  if (bps >= 99_950_000) return `${Math.round(bps / 1_000_000)}M`
  return bps >= 1_000_000 ? `${(bps / 1_000_000).toFixed(1)}M` : `${Math.round(bps / 1000)}k`
}

/** How long something lasts as a clock: 0:07, 12:30, 3:05:00, and days from the second day on. */
export function lasting(from: Date, now: Date, language: string): string {
  const seconds = (now.getTime() - from.getTime()) / 1000
  return seconds < 172_800 ? duration(seconds) : since(from, now, language)
}

/** Seconds as h:mm:ss, or m:ss below an hour. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds))
  const pad = (n: number): string => String(n).padStart(2, '0')
  const hours = Math.floor(s / 3600)
  const rest = `${hours > 0 ? pad(Math.floor(s / 60) % 60) : Math.floor(s / 60)}:${pad(s % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}

/** How long something has been so: "3 分钟", "3 min". */
export function since(from: Date, now: Date, language: string): string {
  const s = Math.max(0, Math.floor((now.getTime() - from.getTime()) / 1000))
  const zh = language !== 'en'
  if (s < 60) return zh ? `${s} 秒` : `${s} s`
  if (s < 3600) return zh ? `${Math.floor(s / 60)} 分钟` : `${Math.floor(s / 60)} min`
  if (s < 86_400) return zh ? `${Math.floor(s / 3600)} 小时` : `${Math.floor(s / 3600)} h`
  return zh ? `${Math.floor(s / 86_400)} 天` : `${Math.floor(s / 86_400)} d`
}

/** Formats are dear to make and cheap to use: a list that scrolls uses the same few for each row. */
const formats = new Map<string, Intl.DateTimeFormat>()

function formatted(at: Date, language: string, options: Intl.DateTimeFormatOptions): string {
  const key = `${language} ${Object.keys(options).join(' ')}`
  let format = formats.get(key)
  if (!format) formats.set(key, (format = new Intl.DateTimeFormat(language, options)))
  return format.format(at)
}

/** Local date and time, to the minute; the year only when it is not this one. */
export function moment(at: Date | null, now: Date, language: string): string {
  if (at === null) return ''
  const year: Intl.DateTimeFormatOptions = at.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' }
  return formatted(at, language, {
    ...year,
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
}

/** Local date: 2027年11月26日, Nov 26, 2027. What is kept for years has a day, not a minute. */
export function day(at: Date, language: string): string {
  return formatted(at, language, { year: 'numeric', month: 'short', day: 'numeric' })
}

/** Local time to the second, for the moment of an interruption. */
export function clock(at: Date | null, language: string): string {
  if (at === null) return ''
  return formatted(at, language, { hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' })
}

/** Local time to the minute: 19:00. */
export function timeOfDay(at: number, language: string): string {
  return new Date(at).toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
}
