// Starts the real server, with its own data folder and ports, and ends it.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createSocket } from 'node:dgram'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'

const root = new URL('../..', import.meta.url).pathname
const patience = 60_000

function freeTCP() {
  return new Promise((resolve, reject) => {
    const s = createServer().once('error', reject)
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address()
      s.close(() => resolve(port))
    })
  })
}

export function freeUDP() {
  return new Promise((resolve, reject) => {
    const s = createSocket('udp4').once('error', reject)
    s.bind(0, '127.0.0.1', () => {
      const { port } = s.address()
      s.close(() => resolve(port))
    })
  })
}

/** Builds the server once for a test file; returns the path. */
export function build() {
  if (process.env.TONGXIANG_TEST_BINARY) return process.env.TONGXIANG_TEST_BINARY
  const path = join(mkdtempSync(join(tmpdir(), 'tongxiang-bin-')), 'tongxiang')
  execFileSync('go', ['build', '-o', path, '.'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, CGO_ENABLED: '0' },
  })
  return path
}

export class Server {
  /** The data folder and the ports stay the same over restarts. `config` is YAML beside what is there, `ffmpeg` another program. */
  static async make(binary, { demo: withDemo = true, config = '', ffmpeg = 'ffmpeg' } = {}) {
    const s = new Server()
    s.binary = binary
    s.dir = mkdtempSync(join(tmpdir(), 'tongxiang-e2e-'))
    const [http, udp, tcp, demo] = [await freeTCP(), await freeUDP(), await freeTCP(), await freeUDP()]
    s.base = `http://127.0.0.1:${http}`
    s.http = http
    s.udp = udp
    s.config = join(s.dir, 'e2e.yaml')
    writeFileSync(
      s.config,
      `data: ${join(s.dir, 'data')}
http: {listen: "127.0.0.1:${http}"}
https: {listen: ""}
webrtc: {udp: "127.0.0.1:${udp}", tcp: "127.0.0.1:${tcp}", addresses: [127.0.0.1]}
rtsp: {listen: ""}
transcode: {cpu: 100, ffmpeg: ${ffmpeg}}
demo: {enabled: ${withDemo}, target: "udp://127.0.0.1:${demo}"}
${withDemo ? `channels:\n  - {id: demo, name: 通乡测试节目, source: "udp://127.0.0.1:${demo}"}` : ''}
${config}
`,
    )
    await s.start()
    return s
  }

  async start() {
    this.log = []
    this.child = spawn(this.binary, ['serve', '--config', this.config], {
      cwd: this.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.ended = new Promise((resolve) => this.child.once('close', resolve))
    createInterface({ input: this.child.stderr }).on('line', (l) => this.log.push(l))
    createInterface({ input: this.child.stdout }).on('line', (l) => {
      const m = /^ {2}password: (\S+)/.exec(l)
      if (m) this.password = m[1]
    })
    const until = Date.now() + patience
    for (;;) {
      const ready = await fetch(`${this.base}/readyz`).then(
        (r) => r.ok,
        () => false,
      )
      if (ready) return
      if (this.child.exitCode !== null || Date.now() > until)
        throw new Error(`the server did not start:\n${this.log.join('\n')}`)
      await new Promise((r) => setTimeout(r, 50))
    }
  }

  /** Ends the server with a signal and waits for its end. */
  async end(signal = 'SIGTERM') {
    this.child.kill(signal)
    await this.ended
  }

  async close() {
    await this.end()
    const kept = process.env.TONGXIANG_TEST_LOG // a folder for the logs of servers, to find out why a test failed
    if (kept) writeFileSync(join(kept, `${basename(this.dir)}.log`), this.log.join('\n'))
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Calls the API; throws when the answer is an error. */
  async api(method, path, body, token = this.token) {
    const res = await fetch(`${this.base}/api/v1${path}`, {
      method,
      headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await res.text()
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  async signIn() {
    this.token = (await this.api('POST', '/sessions', { name: 'admin', password: this.password })).token
  }
}
