// The plan of recordings as an operator uses it: the calendar, the list of all schedules, their files; the library by
// people and units; and what a meeting's programme says where ffmpeg is not installed. Real streams, real server.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, launch, missing, signIn } from './browser.mjs'
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
const second = 1000
const hour = 3600 * second
const errors = []
const zone = 'Asia/Shanghai'
let binary, server, sender, browser, page, training
const shots = process.env.TONGXIANG_TEST_SHOTS
const shot = (name, of = page) => shots && of.screenshot({ path: join(shots, `${name}.png`) })

/** Today's or a later day at an hour of the wall in Shanghai. */
const at = (days, hours, minutes = 0) => {
  const today = new Date(Date.now() + 8 * hour).toISOString().slice(0, 10)
  return Date.parse(`${today}T00:00:00+08:00`) + ((days * 24 + hours) * 60 + minutes) * 60 * second
}
const plan = (stream, title, start, length, more = {}) =>
  server.api('POST', '/schedules', {
    stream: `channels/${stream}`,
    title,
    start: new Date(start).toISOString(),
    end: new Date(start + length).toISOString(),
    ...more,
  })
const bar = (title, state) =>
  page.locator(`${id('plan-bar')}${state ? `[data-state=${state}]` : ''}:has-text("${title}")`)

before(async () => {
  if (options.skip) return
  const [port, dead] = [await freeUDP(), await freeUDP()]
  sender = send(port, [{ id: 1, name: '平凉新闻', content: content.moving }])
  binary = build()
  // Recordings may write 1 MiB a second: two of sources that were never seen are too many.
  server = await Server.make(binary, { demo: false, config: 'recorder: {disk_speed: 1}' })
  await server.signIn()
  await server.api('POST', '/channels', { id: 'news', name: '平凉新闻', source: `udp://127.0.0.1:${port}` })
  for (const [name, title] of [
    ['d1', 'CCTV-7 农业'],
    ['d2', '甘肃卫视'],
  ])
    await server.api('POST', '/channels', { id: name, name: title, source: `udp://127.0.0.1:${dead}` })
  await eventually(
    'the channel is live',
    () => server.api('GET', '/channels/news'),
    (c) => c.state === 'live',
  )
  const soon = Date.now() + 2 * second
  await plan('news', '早间新闻', soon, 9 * second, { class: 'news' })
  await plan('d1', '春耕动员会', soon, 4 * second)
  training = await plan('news', '冬小麦田间管理培训', at(1, 9), hour, {
    rrule: 'FREQ=DAILY;COUNT=40',
    zone,
    class: 'training',
    padding_before: 60,
    padding_after: 300,
  })
  await plan('d1', '应急广播演练', at(2, 14), hour, { priority: 'emergency' })
  await plan('d2', '致富经', at(2, 14, 30), hour)
  await plan('news', '夜间新闻', at(1, 23, 30), hour, { rrule: 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', zone })
  for (let i = 0; i < 5; i++) await plan('news', `乡镇要闻（${i + 1}）`, at(3, 19), hour)
  await server.api('POST', '/schedules', { match: { title: '苹果栽培讲座', duplicates: 'skip_recorded' } })
  await eventually(
    'one is recorded and one is missed',
    () =>
      server.api(
        'GET',
        `/schedules/plan?from=${new Date(soon - hour).toISOString()}&to=${new Date().toISOString()}`,
      ),
    ({ items }) =>
      items.some((x) => x.state === 'done') && items.some((x) => x.state === 'missed' && x.reason),
  )
  const [recording] = (await server.api('GET', '/recordings')).items.filter((r) => r.title === '早间新闻')
  await server.api('PATCH', `/recordings/${recording.id}`, {
    people: ['王建国', '李秀英'],
    units: ['崆峒区农业农村局'],
  })
  browser = await launch()
  const context = await browser.newContext({
    viewport: { width: 1366, height: 768 },
    locale: 'zh-CN',
    timezoneId: zone,
  })
  page = await context.newPage()
  page.on('pageerror', (e) => errors.push(e.message))
  await signIn(page, server)
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
  await sender?.end()
})

/** Shows the week or month of a moment. */
const show = (time) => page.fill(id('day-date'), new Date(time + 8 * hour).toISOString().slice(0, 10))

test('the week has what was recorded and missed, with the reason, and what is planned', options, async () => {
  await page.goto(`${server.base}/console#/plan`)
  await bar('早间新闻', 'done').waitFor()
  await bar('春耕动员会', 'missed').waitFor()
  await shot('plan-week-zh')
  await bar('春耕动员会').click()
  await page.waitForSelector(`${id('occurrence-dialog')}:has-text("信号源")`)
  await shot('plan-missed-zh')
  await page.keyboard.press('Escape')
  await page.locator(id('occurrence-dialog')).waitFor({ state: 'hidden' })
  await show(at(1, 9))
  await bar('冬小麦田间管理培训').first().waitFor()
  await show(at(2, 14))
  await bar('致富经', 'conflict').waitFor()
})

test('one time is left out from the calendar, and taken in again', options, async () => {
  await page.click(id('view-day'))
  await show(at(1, 9))
  await bar('冬小麦田间管理培训', 'planned').click()
  await page.waitForSelector(`${id('schedule-preview')}[data-shown=true]`)
  await page.click(id('schedule-skip'))
  await bar('冬小麦田间管理培训', 'skipped').click()
  await page.click(id('occurrence-again'))
  await bar('冬小麦田间管理培训', 'planned').waitFor()
})

test('states are hidden and shown, a full day is opened, a month is seen', options, async () => {
  await page.click(id('view-month'))
  await show(at(3, 19))
  await page.waitForSelector(id('plan-month'))
  await page.waitForSelector(id('plan-more'))
  await shot('plan-month-zh')
  await page.click(id('state-planned'))
  await eventually(
    'what is planned is hidden',
    () => page.locator(`${id('plan-bar')}[data-state=planned]`).count(),
    (n) => n === 0,
  )
  await page.click(id('state-planned'))
  await page.click(id('view-week'))
  await show(at(3, 19))
  await shot('plan-week-full-zh')
  await page.locator(id('plan-more')).first().click()
  await eventually(
    'the day has all five',
    () => bar('乡镇要闻').count(),
    (n) => n === 5,
  )
  await shot('plan-day-zh')
})

test('the plan is taken away as .xlsx, as CSV with its mark, and for a calendar', options, async () => {
  await page.click(id('view-week'))
  await show(at(1, 9))
  const save = async (format) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.click(id(`export-${format}`))])
    return readFileSync(await file.path())
  }
  const csv = (await save('csv')).toString()
  assert.ok(csv.startsWith('\ufeff'))
  assert.match(csv, /冬小麦田间管理培训/)
  assert.equal((await save('xlsx')).subarray(0, 2).toString(), 'PK')
  const ics = (await save('ics')).toString()
  assert.match(ics, /^BEGIN:VCALENDAR/)
  assert.match(ics, /SUMMARY:冬小麦田间管理培训/)
})

test(
  'all schedules are listed with their rule in words, the next time and the last result',
  options,
  async () => {
    await page.click(id('tab-schedules'))
    const row = (title) => page.locator(`${id('schedule-row')}:has(.strong:has-text("${title}"))`)
    await row('冬小麦田间管理培训').waitFor()
    const rule = (title) => row(title).locator(id('schedule-rule')).innerText()
    assert.equal(await rule('冬小麦田间管理培训'), '每天 09:00–10:00，共 40 次')
    assert.equal(await rule('夜间新闻'), '周一至周五 23:30–00:30（次日）')
    assert.equal(await rule('苹果栽培讲座'), '所有名为“苹果栽培讲座”的节目，录过的不再录')
    assert.match(await rule('致富经'), /14:30–15:30，仅一次$/)
    assert.match(await row('致富经').locator(id('schedule-next')).innerText(), /冲突/)
    const last = row('春耕动员会').locator(id('schedule-last'))
    assert.equal(await last.getAttribute('data-state'), 'missed')
    assert.match(await last.innerText(), /信号源/)
    await shot('schedules-zh')
    await row('春耕动员会').scrollIntoViewIfNeeded()
    await shot('schedules-end-zh')
    await page.fill(id('plan-search'), '周五')
    await eventually(
      'one has this word',
      () => page.locator(id('schedule-row')).count(),
      (n) => n === 1,
    )
    await page.fill(id('plan-search'), '')

    await row('夜间新闻').locator('.el-switch').click()
    await eventually(
      'it is switched off',
      () => server.api('GET', '/schedules?limit=100'),
      (l) => l.items.some((x) => x.title === '夜间新闻' && !x.enabled),
    )
    await page.waitForSelector(`${id('schedule-row')}.off:has-text("夜间新闻")`)

    await row('冬小麦田间管理培训').locator(id('schedule-edit')).click()
    await page.fill(id('schedule-title'), '冬小麦田间管理培训班')
    await page.waitForSelector(`${id('schedule-preview')}[data-shown=true]`)
    await shot('schedule-edit-zh')
    await page.click(id('form-submit'))
    await eventually(
      'it has its new name, and its rule',
      () => server.api('GET', `/schedules/${training.id}`),
      (x) => x.title === '冬小麦田间管理培训班' && x.rrule === 'FREQ=DAILY;COUNT=40',
    )
    await row('应急广播演练').locator(id('schedule-delete')).click()
    await page.click('.el-message-box .el-button--danger')
    await row('应急广播演练').waitFor({ state: 'detached' })
    await eventually(
      'without it there is no conflict',
      () => row('致富经').locator(id('schedule-next')).innerText(),
      (text) => !text.includes('冲突'),
    )
    const [file] = await Promise.all([page.waitForEvent('download'), page.click(id('export-csv'))])
    const csv = readFileSync(await file.path(), 'utf8')
    assert.ok(csv.startsWith('\ufeff'))
    assert.match(csv, /夜间新闻,平凉新闻,周一至周五/)
  },
)

test('the same in English, and on a phone as a list of days', options, async () => {
  await page.evaluate(() => localStorage.setItem('tongxiang.language', 'en'))
  await page.goto(`${server.base}/console#/plan/schedules`)
  await page.reload()
  await page.waitForSelector(`${id('schedule-rule')}:has-text("Mon–Fri 23:30–00:30 (next day)")`)
  await shot('schedules-en')
  await page.click(id('tab-calendar'))
  await page.waitForSelector(id('plan-week'))
  await bar('春耕动员会', 'missed').waitFor()
  await shot('plan-week-en')
  await page.click(id('view-month'))
  await page.waitForSelector(id('plan-month'))
  await shot('plan-month-en')
  const storageState = await page.context().storageState()
  await page.evaluate(() => localStorage.setItem('tongxiang.language', 'zh-CN'))
  await page.reload()
  for (const [language, state] of [
    ['en', storageState],
    ['zh', await page.context().storageState()],
  ]) {
    const context = await browser.newContext({
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
      timezoneId: zone,
      storageState: state,
    })
    const phone = await context.newPage()
    phone.on('pageerror', (e) => errors.push(e.message))
    const over = () => phone.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    await phone.goto(`${server.base}/console#/plan`)
    await phone.waitForSelector(`${id('plan-day')} ${id('plan-bar')}`)
    assert.equal(await over(), 0)
    await shot(`plan-phone-${language}`, phone)
    await phone.tap(id('tab-schedules'))
    await phone.waitForSelector(id('schedule-row'))
    assert.equal(await over(), 0)
    await shot(`schedules-phone-${language}`, phone)
    await context.close()
  }
})

test('the library is narrowed to somebody, and to a unit, from suggestions', options, async () => {
  await page.goto(`${server.base}/console#/recordings`)
  const rows = () => page.locator(id('recording-row')).count()
  const all = await eventually('there are recordings', rows, (n) => n > 0)
  await page.fill(`${id('library-person')} input, input${id('library-person')}`, '秀英')
  await page.click('.el-autocomplete-suggestion li:has-text("李秀英")')
  await eventually('one has her', rows, (n) => n === 1)
  await shot('library-person-zh')
  await page.fill(`${id('library-unit')} input, input${id('library-unit')}`, '没有这个单位')
  await page.keyboard.press('Enter')
  await page.waitForSelector(id('empty'))
  await page.click(id('library-all'))
  await eventually('all are there again', rows, (n) => n === all)
  await page.click(`${id('library-unit')} input, input${id('library-unit')}`)
  await page.click('.el-autocomplete-suggestion li:visible:has-text("崆峒区农业农村局")')
  await eventually('one has the unit', rows, (n) => n === 1)
})

test('without ffmpeg a meeting says that one speaker is heard, and what to do', options, async () => {
  const bare = await Server.make(binary, { demo: false, ffmpeg: '/nowhere/ffmpeg' })
  const context = await browser.newContext({
    viewport: { width: 1366, height: 768 },
    permissions: ['camera', 'microphone'],
    locale: 'zh-CN',
    timezoneId: zone,
  })
  try {
    await bare.signIn()
    const meeting = await bare.api('POST', '/meetings', { title: '全市防汛会商' })
    const desk = await context.newPage()
    desk.on('pageerror', (e) => errors.push(e.message))
    await signIn(desk, bare)
    const site = await context.newPage()
    await site.goto(`${bare.base}/meetings/${meeting.id}?autojoin=1`)
    await site.waitForSelector('[data-testid=room][data-connection=open]')
    await bare.api('POST', '/recordings', { stream: `meetings/${meeting.id}/programme` })
    await desk.goto(`${bare.base}/console#/meetings`)
    const note = `${id('programme-note')} [data-code=sound_needs_ffmpeg]`
    await desk.waitForSelector(note)
    assert.match(await desk.innerText(note), /只播出主讲人的声音.*\n?.*安装 ffmpeg/s)
    await shot('programme-meetings-zh', desk)
    await desk.goto(`${bare.base}/console#/home`)
    await desk.waitForSelector(`${id('desk-running')} ${note}`)
    await shot('programme-home-zh', desk)
    const [recording] = (await bare.api('GET', '/recordings')).items
    await desk.goto(`${bare.base}/console#/recordings/${recording.id}`)
    await desk.waitForSelector(note)
    await shot('programme-recording-zh', desk)
    await desk.evaluate(() => localStorage.setItem('tongxiang.language', 'en'))
    await desk.goto(`${bare.base}/console#/meetings`)
    await desk.reload()
    await desk.waitForSelector(`${note}:has-text("install ffmpeg")`)
    await shot('programme-meetings-en', desk)
  } finally {
    await context.close()
    await bare.close()
  }
})

test('the pages threw nothing', options, () => assert.deepEqual(errors, []))
