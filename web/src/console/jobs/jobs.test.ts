import { afterEach, describe, expect, it, vi } from 'vitest'
import { allRows } from '../allrows'
import { readJobs, sumJobs } from './jobs'

type Row = Record<string, unknown>

/** A server with these rows of a list, the newest first, which hands out pages as the real one does. */
function serve(path: string, rows: readonly Row[]): string[] {
  const asked: string[] = []
  vi.stubGlobal('fetch', (input: string) => {
    const url = new URL(input, 'http://server')
    asked.push(url.search)
    expect(url.pathname).toBe(`/api/v1/${path}`)
    const words = url.searchParams
    const of = rows.filter((row) => !words.has('state') || row['state'] === words.get('state'))
    const offset = Number(words.get('offset') ?? 0)
    const page = of.slice(offset, offset + Number(words.get('limit') ?? 50))
    return Promise.resolve(Response.json({ [path]: page, total: of.length }))
  })
  return asked
}

const signal = new AbortController().signal

/** `count` jobs in a state, the newest first, from minute `from` backwards. */
const jobs = (state: string, count: number, from: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `${state}-${i}`,
    kind: 'thumbnail',
    state,
    created: new Date(Date.UTC(2026, 0, 1) + (from - i) * 60_000).toISOString(),
  }))

afterEach(() => vi.unstubAllGlobals())

describe('jobs', () => {
  const night = [
    ...jobs('done', 700, 2000),
    ...jobs('queued', 150, 1200),
    ...jobs('failed', 3, 900),
    ...jobs('running', 2, 800),
  ]

  it('that work, wait or failed are seen however many have been done since', async () => {
    serve('jobs', night)
    const seen = await readJobs('', 'zh', signal)
    const states = seen?.rows.map((job) => job.state) ?? []
    expect(states.filter((s) => s === 'running')).toHaveLength(2)
    expect(states.filter((s) => s === 'queued')).toHaveLength(150)
    expect(states.filter((s) => s === 'failed')).toHaveLength(3)
    expect(states.filter((s) => s === 'done')).toHaveLength(200)
    expect(states[0]).toBe('running')
    expect(seen?.total).toBe(855)
  })

  it('that all fit are asked for once', async () => {
    const asked = serve('jobs', jobs('queued', 150, 100))
    expect((await readJobs('', 'zh', signal))?.rows).toHaveLength(150)
    expect(asked).toHaveLength(1)
  })

  it('of one state are asked for by that state', async () => {
    serve('jobs', night)
    const seen = await readJobs('failed', 'zh', signal)
    expect(seen?.rows.map((job) => job.id)).toEqual(['failed-0', 'failed-1', 'failed-2'])
    expect(seen?.total).toBe(3)
  })

  it('are counted on the server', async () => {
    serve('jobs', night)
    const sums = await sumJobs('zh', signal)
    expect(sums?.running.map((job) => job.id)).toEqual(['running-0', 'running-1'])
    expect([sums?.queued, sums?.failed]).toEqual([150, 3])
  })
})

describe('all rows of a list', () => {
  it('are read page after page, of one state where that is asked', async () => {
    const asked = serve('recordings', [...jobs('recording', 1234, 5000), ...jobs('waiting', 7, 100)])
    expect(await allRows('recordings', signal, '&state=recording')).toHaveLength(1234)
    expect(asked).toHaveLength(3)
    expect(await allRows('recordings', signal, '&state=waiting')).toHaveLength(7)
  })

  it('end when the list shrinks meanwhile', async () => {
    vi.stubGlobal('fetch', (input: string) => {
      const first = !input.includes('offset=500')
      return Promise.resolve(Response.json({ users: first ? jobs('x', 500, 0) : [], total: 900 }))
    })
    expect(await allRows('users', signal)).toHaveLength(500)
  })
})
