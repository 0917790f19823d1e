// A line between a browser and the server that can be cut: TCP through a proxy,
// WebRTC's UDP through a relay whose port takes the server's place in the SDP.
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

export class Line {
  #sockets = new Set()
  #relays = new Map()
  #tcp = true
  #udp = true
  #rate = 0
  #free = 0

  static async make(server) {
    const line = new Line()
    line.server = server
    line.proxy = createServer((near) => line.#carry(near))
    await new Promise((resolve) => line.proxy.listen(0, '127.0.0.1', resolve))
    line.base = `http://127.0.0.1:${line.proxy.address().port}`
    line.near = createSocket('udp4')
    await new Promise((resolve) => line.near.bind(0, '127.0.0.1', resolve))
    line.near.on('message', (packet, from) => line.#relay(packet, from))
    return line
  }

  #carry(near) {
    if (!this.#tcp) return near.destroy()
    const far = connect(this.server.http, '127.0.0.1')
    for (const [a, b] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.add(a)
      if (a === far) a.on('data', (chunk) => this.#squeeze(chunk, far, near))
      else a.pipe(b)
      a.on('error', () => b.destroy())
      a.on('close', () => {
        this.#sockets.delete(a)
        // What a thin line has not delivered yet is still on its way.
        if (a === far && this.#rate > 0) setTimeout(() => b.destroy(), 10_000)
        else b.destroy()
      })
    }
  }

  /** One queue for all connections, as on a real line: a chunk goes when those before it have gone. */
  #squeeze(chunk, far, near) {
    if (this.#rate === 0) {
      near.write(chunk)
      return
    }
    const now = performance.now()
    this.#free = Math.max(this.#free, now) + (8000 * chunk.length) / this.#rate
    far.pause()
    setTimeout(() => {
      if (near.destroyed) return
      near.write(chunk)
      far.resume()
    }, this.#free - now)
  }

  #relay(packet, from) {
    if (!this.#udp) return
    const key = `${from.address}:${from.port}`
    let far = this.#relays.get(key)
    if (!far) {
      far = createSocket('udp4')
      far.on('message', (answer) => this.#udp && this.near.send(answer, from.port, from.address))
      this.#relays.set(key, far)
    }
    far.send(packet, this.server.udp, '127.0.0.1')
  }

  /** Makes a page's media take the line too. ICE over TCP is left out: it would go around the cut. */
  async lead(page) {
    const port = this.near.address().port
    await page.route(/\/(whip|whep)\//, async (route) => {
      const answer = await route.fetch().catch(() => null)
      if (!answer) return route.abort()
      const body = (await answer.text())
        .split('\r\n')
        .filter((l) => !/^a=candidate:.* tcp /i.test(l))
        .map((l) => (l.startsWith('a=candidate:') ? l.replace(` ${this.server.udp} `, ` ${port} `) : l))
        .join('\r\n')
      await route.fulfill({ response: answer, body })
    })
  }

  /** Cuts or heals the line for TCP: HTTP and WebSocket. */
  setTCP(on) {
    this.#tcp = on
    if (!on) for (const s of this.#sockets) s.destroy()
  }

  /** Bits a second from the server; 0: as many as come. */
  setRate(rate) {
    this.#rate = rate
  }

  /** Cuts or heals the line for UDP: media. Nobody is told; packets are lost. */
  setUDP(on) {
    this.#udp = on
  }

  close() {
    this.setTCP(false)
    this.proxy.close()
    this.near.close()
    for (const far of this.#relays.values()) far.close()
  }
}
