// Runs every test and ends in one line: "N passed, N failed, N skipped". Output of
// passing tests is kept back; what failed or was skipped is printed with its reason.
// Names of failed tests, and data races, which Go prints amid whatever test happens to
// speak, are repeated at the end, where they are found.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

// Races takes data races out of the output of packages.
class Races {
  #open = new Map() // of packages whose race is being printed
  all = []

  take(pack, text) {
    const line = text.trimEnd()
    if (line.endsWith('WARNING: DATA RACE')) this.#open.set(pack, [pack])
    else if (line.endsWith('==================') && this.#open.has(pack)) {
      this.all.push(this.#open.get(pack).join('\n'))
      this.#open.delete(pack)
    } else this.#open.get(pack)?.push(line)
  }
}

const root = new URL('..', import.meta.url).pathname
const total = { passed: 0, failed: 0, skipped: 0 }
const failures = []
const races = new Races()

function run(command, args, options, onLine) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', onLine)
    }
    child.on('close', (code) => resolve(code ?? 1))
  })
}

function heading(text) {
  console.log(`\n== ${text}`)
}

// go test -json: one event a line; output is kept per test until its verdict.
async function goTests() {
  heading('Go tests, with the race detector')
  const output = new Map()
  const failedTests = new Map()
  const skips = []
  let counted = 0
  const code = await run('go', ['test', '-race', '-json', '-timeout', '25m', './...'], {}, (line) => {
    let event
    try {
      event = JSON.parse(line)
    } catch {
      console.log(line) // a build error
      return
    }
    const key = `${event.Package ?? event.ImportPath} ${event.Test ?? ''}`
    switch (event.Action) {
      case 'output':
      case 'build-output':
        races.take(event.Package, event.Output)
        if (!output.has(key)) output.set(key, [])
        output.get(key).push(event.Output)
        break
      case 'pass':
      case 'fail':
      case 'skip':
        if (event.Test) {
          counted++
          total[{ pass: 'passed', fail: 'failed', skip: 'skipped' }[event.Action]]++
        } else if (event.Action !== 'skip') {
          console.log(`${event.Action === 'pass' ? 'ok  ' : 'FAIL'} ${event.Package} ${event.Elapsed}s`)
        }
        if (event.Action === 'skip' && event.Test) skips.push(`${key}: ${reason(output.get(key))}`)
        if (event.Action === 'fail') {
          failures.push(key)
          if (event.Test) failedTests.set(event.Package, true)
          else if (!failedTests.has(event.Package)) total.failed++ // did not build, or crashed
          console.log((output.get(key) ?? []).join(''))
        }
        output.delete(key)
        break
      case 'build-fail':
        console.log((output.get(key) ?? []).join(''))
        break
    }
  })
  for (const s of skips) console.log(`skip ${s}`)
  if (code !== 0 && total.failed === 0) total.failed++
  if (counted === 0) total.failed++
}

function reason(lines) {
  const said = (lines ?? []).filter((l) => !/^(=== |--- |\s*$)/.test(l)).join(' ')
  return said.replace(/\s+/g, ' ').trim() || 'no reason given'
}

async function unitTests() {
  heading("the page's unit tests")
  let json = ''
  const code = await run('npx', ['vitest', 'run', '--reporter=json', '--silent'], { cwd: `${root}web` }, (line) => {
    if (line.startsWith('{')) json = line
    else if (line.trim()) console.log(line)
  })
  if (!json) {
    total.failed++
    return
  }
  const result = JSON.parse(json)
  total.passed += result.numPassedTests
  total.failed += result.numFailedTests
  total.skipped += result.numPendingTests
  console.log(`${result.numPassedTests} passed, ${result.numFailedTests} failed`)
  for (const file of result.testResults) {
    if (file.status === 'failed' && file.assertionResults.length === 0) {
      total.failed++
      console.log(file.message)
    }
    for (const test of file.assertionResults) {
      if (test.status === 'failed') failures.push(test.fullName)
      if (test.status === 'failed') console.log(`FAIL ${test.fullName}\n${test.failureMessages.join('\n')}`)
    }
  }
  if (code !== 0 && result.numFailedTests === 0) total.failed++
}

async function browserTests() {
  heading('browser tests')
  let seen = false
  const code = await run('npm', ['run', '--silent', 'e2e'], { cwd: `${root}web` }, (line) => {
    const m = /^# (pass|fail|skipped|cancelled) (\d+)$/.exec(line) ?? /^ℹ (pass|fail|skipped|cancelled) (\d+)$/.exec(line)
    if (m) {
      seen = true
      total[{ pass: 'passed', fail: 'failed', skipped: 'skipped', cancelled: 'failed' }[m[1]]] += Number(m[2])
    }
    if (line.startsWith('not ok')) failures.push(line)
    console.log(line)
  })
  if (!seen || (code !== 0 && total.failed === 0)) total.failed++
}

const only = process.argv[2]
if (!only || only === 'go') await goTests()
if (!only || only === 'unit') await unitTests()
if (!only || only === 'browser') await browserTests()

for (const race of races.all) console.log(`\ndata race in ${race}`)
if (failures.length > 0) console.log(`\nfailed:\n${failures.join('\n')}`)
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exit(total.failed === 0 ? 0 : 1)
