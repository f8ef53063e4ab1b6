/**
 * `run … authority` and what belongs to it, as a user meets it: keys, marks, files, signals, the log beside it.
 *
 * Runs in pairs: one node at a time, nearly idle.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { formatCommittee, localCommittee } from '../../../src/shared/config/committee-file.js'
import { readKeys } from '../../../src/shared/config/keys.js'
import { v8FlagsFor } from '../../../src/shared/runtime/v8-flags.js'
import { TestClient } from '../../support/client.js'
import { type Ended, NODE_FILE, runNarval } from '../../support/command-line.js'
import { freePorts } from '../../support/free-ports.js'
import { isClosed } from '../../support/started-node.js'
import { scratchDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

const FLAGS = v8FlagsFor(process.versions.node)

let directory: string
let removeDirectory: () => void
let portFirst: number
const children = new Set<ChildProcess>()

// One that begins to run, and should not, fails its test.
const narval = (...args: string[]): Ended => runNarval(directory, args, 30_000)

function expectError(result: Ended, status: number, message: RegExp): void {
  expect(result.stderr).toMatch(/^narval: [^\n]+\n$/)
  expect(result.stderr).toMatch(message)
  expect([result.status, result.stdout]).toEqual([status, ''])
}

/** Where it listens: for primaries, clients, workers and metrics. */
const ports = (): number[] => [portFirst, portFirst + 3, portFirst + 4, portFirst + 5]

interface Flags {
  readonly keys?: string
  readonly committee?: string
  readonly parameters?: string
  readonly store?: string
}

function argsOf(flags: Flags = {}, more: readonly string[] = []): string[] {
  const given = { keys: 'keys.json', committee: 'committee.json', store: 'store', ...flags }
  const list = Object.entries(given).flatMap(([name, value]) => [`--${name}`, value])
  return ['run', ...list, '--bind', '127.0.0.1', '--metrics', `:${portFirst + 5}`, 'authority', ...more]
}

class Run {
  stderr = ''
  readonly child: ChildProcess
  readonly ended: Promise<{ code: number | null; stderr: string }>

  constructor(args: readonly string[] = argsOf()) {
    const child = spawn(process.execPath, [...FLAGS, NODE_FILE, ...args], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, NARVAL_CHILD: '1' },
    })
    this.child = child
    children.add(child)
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    // There is no `close` where the channel was closed from here.
    this.ended = Promise.all([once(child, 'exit'), once(child.stderr!, 'end')]).then(([[code]]) => ({
      code: code as number | null,
      stderr: this.stderr,
    }))
  }

  async booted(): Promise<void> {
    await until('it has booted', () => {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.stderr}`)
      return this.stderr.includes('worker 0: Worker 0 successfully booted on')
    })
  }
}

async function get(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${portFirst + 5}${path}`)
  return { status: response.status, text: await response.text() }
}

beforeAll(async () => {
  const { path, remove } = scratchDirectory()
  directory = path
  removeDirectory = remove
  portFirst = await freePorts(6)
  expect(narval('generate_keys', '--filename', 'keys.json', '--store', 'store')).toEqual({
    status: 0,
    stdout: '',
    stderr: '',
  })
  const { name } = readKeys(join(directory, 'keys.json'))
  writeFileSync(join(directory, 'committee.json'), formatCommittee(localCommittee([name], 1, portFirst)))
})
afterAll(() => removeDirectory())
afterEach(async () => {
  for (const child of children) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  children.clear()
})

describe('run authority', () => {
  it('orders what clients send, says so over HTTP, and its log is read beside it', async () => {
    const run = new Run()
    await run.booted()
    await until('it is ready', async () => (await get('/readyz')).status === 200)
    expect(await get('/livez')).toMatchObject({ status: 200 })
    expect(JSON.parse((await get('/health')).text)).toMatchObject({
      ok: true,
      primary: { ok: true },
      workers: { '0': { ok: true, primary_connected: true } },
      problems: [],
    })
    const client = await TestClient.connect(portFirst + 3)
    await client.send(10, 100)
    await until('they are certified', async () =>
      (await get('/metrics')).text.includes('narval_transactions_certified_total{worker="0"} 10'),
    )
    const ordered = (store: string): string[] => narval('log', '--store', store).stdout.match(/worker 0 of/g) ?? []
    await until('they are ordered', () => ordered('store').length > 0)
    expect(ordered(join('store', 'primary')).length).toBeGreaterThan(0)
    expect(narval('check', '--store', join('store', 'primary'))).toMatchObject({ status: 0 })
    const all = narval('check', '--store', 'store')
    expect(all).toMatchObject({ status: 0, stderr: '' })
    expect(all.stdout).toMatch(/^primary: \d+ entries, .*: all whole\nworker-0: \d+ batch(es)?, .*: all whole\n$/)
    const [logged] = narval('log', '--store', 'store').stdout.match(/[\w+/]{43}=(?= {2}worker 0 of)/) ?? []
    for (const of of ['store', join('store', 'worker-0')]) {
      expect(narval('batch', logged!, '--store', of).stdout).toContain(`digest        ${logged}\n`)
    }
    expectError(narval(...argsOf()), 1, /ERR_STORE_LOCKED|ERR_ADDRESS_IN_USE/)
    client.destroy()
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/Closed\n$/) })
    for (const port of ports()) expect(await isClosed(port)).toBe(true)
  })

  it.each(['keys', 'committee', 'parameters'] as const)('ends at a missing %s file, and makes nothing', (flag) => {
    expectError(narval(...argsOf({ [flag]: 'missing.json', store: 'other' })), 1, /ERR_FILE_MISSING: .*missing\.json/)
    expect(existsSync(join(directory, 'other'))).toBe(false)
  })

  it.each([
    [['--rule', 'bullshark'], /ERR_USAGE: option '--rule <rule>' argument 'bullshark' is invalid.* shoal, tusk/],
    [['--id', '0'], /ERR_USAGE: unknown option '--id'/],
    [['0'], /ERR_USAGE: too many arguments/],
    [['--api', '0.0.0.0:4000'], /ERR_USAGE: --api 0\.0\.0\.0: other machines may reach it, .*--api-token/],
    [['--api', '127.example.org:4000'], /ERR_USAGE: --api 127\.example\.org: other machines may reach it/],
    [['--api', 'nowhere'], /ERR_USAGE: option '--api <addr>' argument 'nowhere' is invalid/],
  ])('refuses %j', (more, message) => {
    expectError(narval(...argsOf({}, more)), 2, message)
  })

  it('refuses a token that is not there, or is none', () => {
    writeFileSync(join(directory, 'token'), 'short')
    const argsWith = (token: string): string[] => argsOf({}, ['--api', '0.0.0.0:4000', '--api-token', token])
    expectError(narval(...argsWith('missing')), 1, /ERR_FILE_MISSING: .*missing/)
    expectError(narval(...argsWith('token')), 1, /ERR_FILE_MALFORMED: token: expected a token of 16 to 1024/)
  })

  it('refuses another rule than the one that its store was made with', () => {
    expectError(
      narval(...argsOf({}, ['--rule', 'tusk'])),
      1,
      /ERR_STORE_SETTINGS: .* the rule shoal, this node has tusk/,
    )
  })

  it('ends in order while it starts, whenever the signal comes, and starts again', async () => {
    for (const delayMs of [0, 200, 400, 700, 1_000, 1_500]) {
      const run = new Run()
      await until('it is loaded', () => run.stderr !== '' || existsSync(join(directory, 'store')))
      await sleep(delayMs)
      run.child.kill('SIGTERM')
      const { code, stderr } = await run.ended
      // Before it listens for signals there is nothing to close.
      if (run.child.signalCode === null) {
        expect(code).toBe(0)
        expect(stderr).toMatch(/Closed\n$/)
      }
      for (const port of ports()) expect(await isClosed(port)).toBe(true)
    }
    const again = new Run()
    await again.booted()
    again.child.kill('SIGINT')
    expect(await again.ended).toMatchObject({ code: 0 })
  })

  it('ends when its parent is gone, and at once at the second signal', async () => {
    const orphan = new Run()
    await orphan.booted()
    orphan.child.disconnect()
    expect(await orphan.ended).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the parent process is gone: closing'),
    })
    const run = new Run()
    await run.booted()
    run.child.kill('SIGTERM')
    await until('it closes', () => run.stderr.includes('once more ends at once'))
    await until('it has ended', () => {
      run.child.kill('SIGTERM')
      return run.child.exitCode !== null || run.child.signalCode !== null
    })
    // In order, if it was quicker than the second one.
    expect([0, 1]).toContain((await run.ended).code)
  })
})

describe('fresh', () => {
  it('marks a store for keys that are there, and not one that has been used', () => {
    expect(narval('fresh', '--keys', 'keys.json', '--store', 'new')).toEqual({
      status: 0,
      stdout: 'new is marked as the store of a new authority: its first start takes the mark away\n',
      stderr: '',
    })
    expectError(narval('fresh', '--keys', 'keys.json', '--store', 'store'), 1, /ERR_STORE_USED: .*store/)
    expectError(narval('fresh', '--keys', 'missing.json', '--store', 'new'), 1, /ERR_FILE_MISSING/)
    expectError(narval('fresh', '--store', 'new'), 2, /ERR_USAGE: required option '--keys <file>'/)
    expect(narval('generate_keys', '--filename', 'second.json').status).toBe(0)
    expectError(narval('fresh', '--keys', 'second.json', '--store', 'new'), 1, /ERR_STORE_FOREIGN/)
  })

  it('where no mark can be made no keys are, and the command can be given again', () => {
    const args = ['generate_keys', '--filename', 'third.json', '--store', join('no', 'such', 'directory')]
    for (let n = 0; n < 2; n += 1) expectError(narval(...args), 1, /ERR_STORE_WRITE: .*no such file or directory/)
    expect(existsSync(join(directory, 'third.json'))).toBe(false)
  })

  it('keys that exist are not made anew, and no store is marked for them', () => {
    expectError(narval('generate_keys', '--filename', 'keys.json', '--store', 'third'), 1, /ERR_FILE_EXISTS/)
    expect(existsSync(join(directory, 'third'))).toBe(false)
  })
})
