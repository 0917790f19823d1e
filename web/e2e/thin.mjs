// A thin line between a browser and a server: one queue in which bytes lie until those before them have gone, a round
// trip, and a bound to what is on its way, as on the router at its narrow end. What was sent to a browser that hung up
// still takes the line.
import { connect, createServer } from 'node:net'

const piece = 1460
/** What a connection may have in the queue: 130 ms of 2 Mbit/s. */
const window = 32 << 10

export class ThinLine {
  #sockets = new Set()
  #queue = []
  #timer = null
  #free = 0
  #rate = 0
  #trip = 0

  static async make(port) {
    const line = new ThinLine()
    line.proxy = createServer((near) => line.#carry(near, port))
    await new Promise((resolve) => line.proxy.listen(0, '127.0.0.1', resolve))
    line.base = `http://127.0.0.1:${line.proxy.address().port}`
    return line
  }

  /** Bits a second towards the browser, 0: as many as come, and the round trip in ms. */
  set(rate, trip) {
    this.#rate = rate
    this.#trip = trip
  }

  #carry(near, port) {
    const far = connect(port, '127.0.0.1')
    const began = performance.now()
    const c = { near, far, waiting: 0 }
    for (const s of [near, far]) {
      s.setNoDelay(true)
      this.#sockets.add(s)
      s.on('error', () => s.destroy())
      s.on('close', () => this.#sockets.delete(s))
    }
    near.on('data', (chunk) => {
      // The first request waits for the handshake.
      const opened = Math.max(0, began + this.#trip - performance.now())
      setTimeout(() => !far.destroyed && far.write(chunk), opened + this.#trip / 2)
    })
    near.on('close', () => far.destroy())
    far.on('data', (chunk) => this.#send(c, chunk))
    far.on('close', () => this.#put(c, null))
  }

  #send(c, chunk) {
    if (this.#rate === 0) {
      c.near.write(chunk)
      return
    }
    for (let at = 0; at < chunk.length; at += piece) this.#put(c, chunk.subarray(at, at + piece))
    c.waiting += chunk.length
    if (c.waiting >= window) c.far.pause()
  }

  /** Puts bytes, or the end of a connection, into the queue. */
  #put(c, bytes) {
    this.#queue.push({ c, bytes })
    if (this.#queue.length === 1) {
      this.#free = Math.max(this.#free, performance.now())
      this.#next()
    }
  }

  #next() {
    const head = this.#queue[0]
    if (!head) return
    const takes = head.bytes && this.#rate > 0 ? (8000 * head.bytes.length) / this.#rate : 0
    this.#timer = setTimeout(() => this.#out(takes), this.#free + takes - performance.now())
  }

  #out(takes) {
    const { c, bytes } = this.#queue.shift()
    this.#free += takes
    setTimeout(() => {
      if (bytes === null) c.near.end()
      else if (!c.near.destroyed) c.near.write(bytes)
    }, this.#trip / 2)
    if (bytes) {
      c.waiting -= bytes.length
      if (c.waiting < window / 2) c.far.resume()
    }
    this.#next()
  }

  close() {
    clearTimeout(this.#timer)
    for (const s of this.#sockets) s.destroy()
    this.proxy.close()
  }
}
