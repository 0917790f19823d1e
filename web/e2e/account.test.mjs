// What somebody does with an account: sign in on the way to a page, change the password, lose a role.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually, launch, missing } from './browser.mjs'
import { build, Server } from './server.mjs'

const options = { skip: missing, timeout: 120_000 }
const id = (name) => `[data-testid=${name}]`
const fresh = 'Harvest-2026'
let server, browser, page

before(async () => {
  if (missing) return
  server = await Server.make(build(), { demo: false })
  await server.signIn()
  browser = await launch()
  page = await (await browser.newContext({ viewport: { width: 1366, height: 768 } })).newPage()
}, options)

after(async () => {
  await browser?.close()
  await server?.close()
})

async function signIn(name, password) {
  await page.fill(id('login-name'), name)
  await page.fill(id('login-password'), password)
  await page.click(id('login-submit'))
}

test('who opens a page of the console without a session signs in and is there', options, async () => {
  await page.goto(`${server.base}/console#/users`)
  await page.waitForSelector(id('login-name'))
  await signIn('admin', server.password)
  await page.waitForSelector(id('user-row'))
  assert.match(page.url(), /\/console#\/users$/)
})

test('people change their own password, and are told what is wrong with it', options, async () => {
  await page.goto(server.base)
  await page.click(id('own-password'))
  const said = async (present, next, again, words) => {
    await page.fill(id('own-password-present'), present)
    await page.fill(id('own-password-next'), next)
    await page.fill(id('own-password-again'), again)
    await page.click(id('own-password-save'))
    await page.waitForSelector(`${id('own-password-error')}:has-text("${words}")`)
  }
  await said(server.password, '', '', '请填写')
  await said(server.password, fresh, `${fresh}x`, '不一致')
  await said('not this one', fresh, fresh, '当前密码不对')
  await said(server.password, 'abc', 'abc', '密码须为')
  await page.fill(id('own-password-next'), fresh)
  await page.fill(id('own-password-again'), fresh)
  await page.click(id('own-password-save'))
  await page.waitForSelector(id('own-password-done'))
  await page.keyboard.press('Escape')
  await page.click(id('logout'))
  await signIn('admin', server.password)
  await page.waitForSelector(id('login-error'))
  await signIn('admin', fresh)
  await page.waitForSelector(id('me'))
})

test('an account gets another name and role, and its own role nobody takes', options, async () => {
  server.password = fresh
  await server.signIn() // the password that was changed ended the older session
  await page.goto(`${server.base}/console#/users`)
  await page.click(id('user-add'))
  await page.fill(id('user-name'), 'li')
  await page.fill(id('user-password'), 'twelveletter')
  await page.click(id('form-submit'))
  await page.waitForSelector(`${id('form-problem')}:has-text("密码须为")`)
  await page.fill(id('user-password'), fresh)
  await page.click(id('form-submit'))
  const row = page.locator(`${id('user-row')}:has-text("li")`)
  await row.locator(id('user-edit')).click()
  await page.fill(id('user-display'), '李庄镇')
  await page.click(`.el-select:has(${id('user-role')}), ${id('user-role')}`)
  await page.click('.el-select-dropdown__item:has-text("值班员")')
  await page.click(id('form-submit'))
  await eventually(
    'the account is another',
    () => server.api('GET', '/users').catch(() => ({ items: [] })),
    (l) => l.items.some((u) => u.name === 'li' && u.display === '李庄镇' && u.role === 'operator'),
  )
  await page
    .locator(`${id('user-row')}:has-text("本人")`)
    .locator(id('user-edit'))
    .click()
  await page.waitForSelector('.el-dialog:has-text("不能修改自己的角色")')
})
