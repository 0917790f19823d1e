// A library of any size, answered in the browser's own process: for the measurement of the page alone.
const titles = [
  '防汛工作视频会议',
  '平凉新闻',
  '苹果树冬季修剪技术',
  '全市经济运行调度会',
  '农药安全使用培训',
]
const classes = ['meeting', 'news', 'agriculture', 'meeting', 'training']
const units = ['崆峒区', '泾川县', '灵台县', '崇信县', '华亭市', '庄浪县', '静宁县']

/** Recording `i` of the library; always the same one. */
export function madeUp(i) {
  const started = new Date(Date.UTC(2026, 10, 26, 8) - i * 1_900_000)
  const duration = 600 + ((i * 7919) % 9000)
  const failed = i % 97 === 3
  return {
    id: `r${i}`,
    stream: `channels/c${i % 49}`,
    title: `${titles[i % titles.length]}（第 ${i + 1} 期）`,
    class: classes[i % classes.length],
    format: 'fmp4',
    state: failed ? 'failed' : 'complete',
    reason: failed ? '结束前未收到任何内容' : '',
    started: started.toISOString(),
    ended: new Date(started.getTime() + duration * 1000).toISOString(),
    duration: failed ? 0 : duration,
    bytes: failed ? 0 : duration * 250_000,
    expires: i % 11 === 0 ? null : new Date(started.getTime() + 365 * 86_400_000).toISOString(),
    hold: i % 53 === 0,
    deleted: null,
    people: ['王建国', '李秀英'].slice(0, i % 3),
    units: [units[i % units.length]],
    chapters: [],
    gaps: [],
    tracks: [],
    position_ms: i % 13 === 0 ? duration * 400 : 0,
    watched: i % 17 === 0,
    has: { thumbnail: !failed, sprite: false, low: false },
  }
}

/** Answers the page's questions for the library with `total` made-up recordings. */
export async function answerLibrary(page, total, thumbnail) {
  await page.route(/\/api\/v1\/recordings\?/, (route) => {
    const query = new URL(route.request().url()).searchParams
    const limit = Number(query.get('limit') ?? 50)
    const from = Number(query.get('cursor') ?? query.get('offset') ?? 0)
    const n = Math.max(0, Math.min(limit, total - from))
    return route.fulfill({
      json: {
        items: Array.from({ length: n }, (_, i) => madeUp(from + i)),
        total,
        next: from + n < total ? String(from + n) : '',
      },
    })
  })
  await page.route(/\/api\/v1\/recordings\/r\d+\/thumbnail/, (route) =>
    route.fulfill({ body: thumbnail, contentType: 'image/jpeg' }),
  )
}
