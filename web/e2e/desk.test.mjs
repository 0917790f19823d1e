// What an operator does at the duty desk: a week planned within a minute of logging in, empty places, drags,
// conflicts, errors at fields, the shift log, lists as files. Real streams with a guide, real server.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, launch, missing } from './browser.mjs'
import { sendGuide } from './eit.mjs'
import { build, freeUDP, Server } from './server.mjs'
import { content, send } from './streams.mjs'

function noFfmpeg() {
  try {
    execFileSync('ffmpeg', ['-version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'ffmpeg is not installed'
  }
}

const options = { skip: missing ?? noFfmpeg(), timeout: 300_000 }
const id = (name) => `[data-testid=${name}]`
const minute = 60_000
const password = 'Duty-desk-2026'
const trainings = ['冬小麦田间管理培训', '大棚蔬菜种植培训', '苹果栽培讲座']
const senders = []
const errors = []
let server, browser, page
/** Where pictures of what was seen go, if anywhere. */
const shots = process.env.TONGXIANG_TEST_SHOTS
const shot = (name) => shots && page.screenshot({ path: join(shots, `${name}.png`) })

/** The next moment whose minute is a multiple of five, so many minutes on. */
const soon = (minutes) => Math.ceil((Date.now() + minutes * minute) / (5 * minute)) * 5 * minute
const local = (at) => {
  const d = new Date(at - new Date(at).getTimezoneOffset() * minute)
  return d.toISOString().slice(0, 16)
}

/** Shows the day of a moment, which near midnight is the next one. */
async function showDay(at) {
  const day = local(at).slice(0, 10)
  if ((await page.inputValue(id('day-date'))) !== day) await page.fill(id('day-date'), day)
}

/** Brings a moment into sight. */
async function showTime(at) {
  await showDay(at)
  await page.locator(id('day-grid')).evaluate(
    (box, hours) => {
      const canvas = box.querySelector('.canvas')
      const width = parseFloat(canvas.style.width)
      box.scrollLeft = (width / 24) * hours - 120
    },
    new Date(at).getHours() + new Date(at).getMinutes() / 60,
  )
}

before(async () => {
  if (options.skip) return
  const port = await freeUDP()
  const dead = await freeUDP()
  const names = ['CCTV-7 农业', '甘肃卫视', '平凉新闻']
  senders.push(
    send(
      port,
      names.map((name, i) => ({ id: 101 + i, name, content: i % 2 ? content.bars : content.moving })),
    ),
  )
  const now = Date.now()
  senders.push(
    sendGuide(
      port,
      names.map((_, i) => ({
        id: 101 + i,
        events: [
          { id: 1, start: now - 30 * minute, end: soon(20 + 10 * i), title: '新闻', text: '' },
          {
            id: 2,
            start: soon(20 + 10 * i),
            end: soon(60 + 10 * i),
            title: trainings[i],
            text: '农技专家讲解。',
          },
          { id: 3, start: soon(60 + 10 * i), end: soon(120), title: '致富经', text: '' },
        ],
      })),
    ),
  )
  // Recordings may write 1 MiB a second: two of sources that were never seen are too many.
  server = await Server.make(build(), { demo: false, config: 'recorder: {disk_speed: 1}' })
  await server.signIn()
  for (const [i, name] of names.entries())
    await server.api('POST', '/channels', {
      id: `c${i}`,
      name,
      source: `udp://127.0.0.1:${port}`,
      program: 101 + i,
    })
  for (const name of ['d1', 'd2'])
    await server.api('POST', '/channels', { id: name, name, source: `udp://127.0.0.1:${dead}` })
  await server.api('POST', '/users', { name: 'liwei', display: '新来的', role: 'operator', password })
  await server.api('POST', '/meetings', {
    title: '全市防汛会议',
    start: new Date(soon(30)).toISOString(),
    end: new Date(soon(90)).toISOString(),
  })
  await eventually(
    'the guide is there',
    () => server.api('GET', '/epg?limit=100'),
    (l) => l.total >= 9,
  )
  browser = await launch()
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 }, locale: 'zh-CN' })
  page = await context.newPage()
  page.on('pageerror', (e) => errors.push(e.message))
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
  for (const s of senders) await s.end()
})

test('a new operator plans three weekly trainings within a minute of logging in', options, async () => {
  await page.goto(`${server.base}/login`)
  const began = Date.now()
  await page.fill(id('login-name'), 'liwei')
  await page.fill(id('login-password'), password)
  await page.click(id('login-submit'))
  await page.click(id('to-console'))
  for (const [i, title] of trainings.entries()) {
    await page.waitForSelector(id('day-event'))
    await showTime(soon(20 + 10 * i))
    await page.click(`${id('day-event')}:has-text("${title}")`)
    await page.click(`.ways label:has(${id('way-weekly')})`)
    await page.waitForSelector(`${id('schedule-preview')}[data-shown=true]`)
    assert.equal(await page.locator(`${id('schedule-preview')} li`).count(), 5, 'five weeks are shown')
    if (i === 0) await shot('plan-dialog')
    await page.click(id('form-submit'))
    await page.waitForSelector(`${id('day-bar')}:has-text("${title}")`)
  }
  const took = Date.now() - began
  await shot('planned')
  const { items } = await server.api('GET', '/schedules?limit=100')
  assert.deepEqual(items.map((x) => x.title).sort(), [...trainings].sort())
  for (const x of items) {
    assert.match(x.rrule, /^FREQ=WEEKLY;BYDAY=(MO|TU|WE|TH|FR|SA|SU)$/)
    assert.equal(x.class, 'training')
    assert.equal(x.priority, 'training')
  }
  assert.ok(took < minute, `it took ${took / 1000} s`)
})

test('one time of a repetition is left out and taken in again', options, async () => {
  const bar = page.locator(`${id('day-bar')}:has-text("${trainings[2]}")`)
  await bar.click()
  await page.click(id('schedule-skip'))
  await page.waitForSelector(`${id('day-bar')}[data-state=skipped]`)
  await bar.click()
  await page.click(id('occurrence-again'))
  await page.waitForSelector(`${id('day-bar')}[data-state=skipped]`, { state: 'detached' })
  assert.equal(await bar.getAttribute('data-state'), 'planned')
})

test(
  'the meetings of the day stand above the channels, and one is recorded from there',
  options,
  async () => {
    await showTime(soon(30))
    await page.click(`${id('day-meeting')}:has-text("全市防汛会议")`)
    await page.waitForSelector(`${id('schedule-preview')}[data-shown=true]`)
    await page.click(id('form-submit'))
    await page.waitForSelector(`[data-row=meetings] ${id('day-bar')}`)
    const made = (await server.api('GET', '/schedules?limit=1')).items[0]
    assert.match(made.stream, /^meetings\//)
    assert.equal(made.class, 'meeting')
  },
)

test(
  'an empty place is a recording of that time, and a conflict is seen before it is saved',
  options,
  async () => {
    const at = soon(150)
    await showTime(at)
    const add = async (row) => {
      const place = page.locator(`[data-row="channels/${row}"]`)
      await place.scrollIntoViewIfNeeded()
      const box = await place.boundingBox()
      const grid = await page.locator(id('day-grid')).boundingBox()
      await page.mouse.click(grid.x + grid.width * 0.5, box.y + box.height - 12)
      await page.waitForSelector(`${id('schedule-preview')}[data-shown=true]`)
    }
    await add('d1')
    assert.equal(await page.locator(id('schedule-conflicts')).count(), 0)
    const [start, end] = await Promise.all(
      ['schedule-start', 'schedule-end'].map((n) => page.inputValue(id(n))),
    )
    assert.equal(new Date(start).getMinutes() % 15, 0)
    assert.equal(new Date(end) - new Date(start), 60 * minute)
    await page.click(id('form-submit'))
    await page.waitForSelector(`[data-row="channels/d1"] ${id('day-bar')}`)

    await add('d2')
    await page.waitForSelector(`${id('schedule-preview')}:not([data-conflicts="0"])`)
    await page.waitForSelector(id('schedule-conflicts'))
    await shot('conflict')
    // The end before the start: the server's sentence stands at the field.
    await page.fill(id('schedule-end'), start)
    await page.click(id('form-submit'))
    await page.waitForSelector(`.el-form-item.is-error:has(${id('schedule-end')})`)
    await page.fill(id('schedule-end'), end)
    await page.waitForSelector(`${id('schedule-preview')}[data-shown=true]:not([data-conflicts="0"])`)
    await page.click(id('form-submit'))
    await page.waitForSelector(`${id('day-bar')}[data-state=conflict]`)
  },
)

test('a drag moves a recording and stretches it, by five minutes', options, async () => {
  const title = '待移动'
  const start = soon(200)
  const made = await server.api('POST', '/schedules', {
    stream: 'channels/c0',
    title,
    start: new Date(start).toISOString(),
    end: new Date(start + 60 * minute).toISOString(),
  })
  await page.reload()
  await page.waitForSelector(id('day-grid'))
  await showTime(start)
  const bar = page.locator(`${id('day-bar')}[data-schedule="${made.id}"]`)
  await bar.waitFor()
  const drag = async (from, by) => {
    const box = await bar.boundingBox()
    const [x, y] = [box.x + from(box.width), box.y + box.height / 2]
    await page.mouse.move(x, y)
    await page.mouse.down()
    for (const step of [0.3, 0.7, 1]) await page.mouse.move(x + by * step, y)
    await page.mouse.up()
  }
  const become = (what, right) =>
    eventually(what, () => server.api('GET', `/schedules/${made.id}`), right, 20_000)
  // 150 px are an hour, so 50 px are twenty minutes.
  await drag((w) => w / 2, 50)
  await become(
    'it is moved by twenty minutes',
    (x) => Date.parse(x.start) === start + 20 * minute && Date.parse(x.end) === start + 80 * minute,
  )
  await eventually(
    'the page has it',
    () => bar.getAttribute('aria-label'),
    (l) => l.includes(local(start + 20 * minute).slice(11)),
  )
  await drag((w) => w - 3, 26)
  await become(
    'its end is ten minutes later',
    (x) => Date.parse(x.start) === start + 20 * minute && Date.parse(x.end) === start + 90 * minute,
  )
  // The same without a mouse: by its dialog.
  await bar.focus()
  await page.keyboard.press('Enter')
  await page.fill(id('schedule-start'), local(start))
  assert.equal(await page.inputValue(id('schedule-end')), local(start + 70 * minute))
  await page.click(id('form-submit'))
  await become(
    'it is where it was',
    (x) => Date.parse(x.start) === start && Date.parse(x.end) === start + 70 * minute,
  )
  await page.waitForSelector('.el-overlay', { state: 'hidden' }).catch(() => undefined)
  await bar.click()
  await page.click(id('schedule-remove'))
  await page.click('.el-message-box .el-button--danger')
  await bar.waitFor({ state: 'detached' })
})

test('another day is shown, and today has a line for now', options, async () => {
  await page.click(id('day-now'))
  await page.waitForSelector(id('now-line'), { state: 'attached' })
  const today = await page.inputValue(id('day-date'))
  await page.click(id('day-next'))
  assert.notEqual(await page.inputValue(id('day-date')), today)
  assert.equal(await page.locator(id('now-line')).count(), 0)
  await page.click(id('day-now'))
  assert.equal(await page.inputValue(id('day-date')), today)
})

test('beside the day stand alarms with what to do, the disk and the shift log', options, async () => {
  await page.waitForSelector(`${id('desk-alarm')}[data-id=d1]`)
  await page.waitForSelector(id('desk-disk'))
  await page.fill(id('desk-log-text'), 'd1 无信号，已报修')
  await page.click(id('desk-log-add'))
  await page.waitForSelector(`${id('desk-log')}:has-text("新来的"):has-text("已报修")`)
  await page.goto(`${server.base}/console#/shiftlog`)
  await page.fill(id('log-text'), '=交接班，一切正常')
  await page.click(id('log-add'))
  await eventually(
    'both are there',
    () => page.locator(id('log-entry')).count(),
    (n) => n === 2,
  )
  await page.fill(id('log-search'), '报修')
  await eventually(
    'one is found',
    () => page.locator(id('log-entry')).count(),
    (n) => n === 1,
  )
})

test('lists are taken away as .xlsx and as CSV with its mark', options, async () => {
  const save = async (format) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.click(id(`export-${format}`))])
    return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) }
  }
  const csv = await save('csv')
  assert.match(csv.name, /^shiftlog-\d{4}-\d\d-\d\d\.csv$/)
  assert.deepEqual([...csv.bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf])
  assert.match(csv.bytes.toString(), /值班员/)
  assert.match(csv.bytes.toString(), /'=交接班/)
  assert.equal((await save('xlsx')).bytes.subarray(0, 2).toString(), 'PK')
  for (const list of ['home', 'channels', 'meetings', 'devices']) {
    await page.goto(`${server.base}/console#/${list}`)
    await page.waitForSelector(id('export-xlsx'))
    assert.equal((await save('xlsx')).bytes.subarray(0, 2).toString(), 'PK', list)
  }
  assert.deepEqual(errors, [])
})

test('one kiosk of all is found by its name', options, async () => {
  const townships = ['李庄镇', '柳湖镇', '四十里铺镇']
  let token
  for (let i = 0; i < 610; i++) {
    const added = await server.api('POST', '/kiosks', {
      name: `${townships[i % 3]}第${String(i + 1).padStart(3, '0')}号大屏`,
    })
    token ??= added.token
  }
  await server.api('GET', '/channels', undefined, token) // the first one plays
  await page.goto(`${server.base}/console#/devices`)
  await page.reload()
  const rows = page.locator(id('device-row'))
  await eventually(
    'all are there',
    () => rows.count(),
    (n) => n === 610,
  )
  await page.fill(id('device-find'), '第02 柳湖')
  await eventually(
    'only four of one township are left',
    () => rows.allTextContents(),
    (names) => names.length === 4 && names.every((name) => name.includes('柳湖镇第02')),
  )
  assert.equal((await page.textContent(id('device-count'))).trim(), '显示 4 / 共 610 台')
  await shot('devices-found')
  await page.fill(id('device-find'), '没有的村')
  await page.waitForSelector('text=没有符合条件的终端')
  assert.equal(await rows.count(), 0)

  await page.fill(id('device-find'), '')
  assert.match(await rows.first().textContent(), /李庄镇第001号大屏/)
  await page.click(id('device-order'))
  await page.click('.el-select-dropdown__item:has-text("最久未在线的在前")')
  await eventually(
    'the one that was seen is the last',
    () => rows.last().textContent(),
    (text) => text.includes('李庄镇第001号大屏') && text.includes('在线'),
  )
  await page.click(id('device-state'))
  await page.click('.el-select-dropdown__item:has-text("尚未打开（609）")')
  await eventually(
    'those that were never opened are left',
    () => page.textContent(id('device-count')),
    (text) => text.trim() === '显示 609 / 共 610 台',
  )
  await shot('devices-never')
  assert.deepEqual(errors, [])
})
