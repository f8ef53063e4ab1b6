import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Backlog, LOG_BACKLOG_BYTES_MAX } from '../../../src/main/lib/log-destination.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

describe('a backlog', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** A reader with so much room, and what it got. */
  function reader(room: number) {
    const state = { room, got: '' }
    const backlog = new Backlog((bytes) => {
      const taken = Math.min(state.room, bytes.length)
      state.room -= taken
      state.got += Buffer.from(bytes.subarray(0, taken)).toString()
      return taken
    })
    return { backlog, state }
  }

  test('writes at once what there is room for', () => {
    const { backlog, state } = reader(100)
    backlog.write('one\n')
    backlog.write('two\n')
    expect(state.got).toBe('one\ntwo\n')
  })

  test('keeps what there is no room for, in order, also the rest of a line', () => {
    const { backlog, state } = reader(6)
    for (const line of ['one\n', 'two\n', 'three\n']) backlog.write(line)
    expect(state.got).toBe('one\ntw')
    vi.advanceTimersByTime(1000)
    expect(state.got).toBe('one\ntw')
    state.room = 3
    vi.advanceTimersByTime(1000)
    state.room = 100
    vi.advanceTimersByTime(1000)
    expect(state.got).toBe('one\ntwo\nthree\n')
    expect(backlog.dropped).toBe(0)
  })

  test('drops lines beyond its bytes, counts them, and says so once there is room', () => {
    const { backlog, state } = reader(0)
    const line = `${'x'.repeat(1023)}\n`
    for (let n = 0; n < LOG_BACKLOG_BYTES_MAX / 1024 + 5; n += 1) backlog.write(line)
    expect(backlog.dropped).toBe(5)
    state.room = 2 * LOG_BACKLOG_BYTES_MAX
    vi.advanceTimersByTime(1000)
    expect(state.got.length).toBeGreaterThan(LOG_BACKLOG_BYTES_MAX)
    expect(state.got.match(/5 lines of the log are lost here/g)).toHaveLength(1)
    vi.advanceTimersByTime(1000)
    backlog.write('again\n')
    expect(state.got.endsWith('again\n')).toBe(true)
    expect(state.got.match(/lost here/g)).toHaveLength(1)
  })
})

const LOG_FILE = join(import.meta.dirname, '../../../dist/main/lib/log.js')
/** Logs 4 MB, says so on stdout, and ends when it is told to by SIGTERM. */
const PROGRAM = `
  const { createLogger } = await import(${JSON.stringify(LOG_FILE)})
  const log = createLogger('m')
  for (let n = 0; n < 4000; n += 1) log.info(String(n).padStart(1000, '.'))
  process.on('SIGTERM', () => { log.info('ending'); process.exit(7) })
  setInterval(() => {}, 1000)
  process.stdout.write('logged')
`

describe('a process whose log nobody reads', () => {
  test('goes on, and ends when it is told to: a pipe', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], { stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGTERM')
    expect(await ended).toBe(7)
  })

  test('goes on, and ends when it is told to: a socket', async () => {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    // bash gives the process a socket that nobody reads for its stderr.
    const command = `exec "$0" --input-type=module -e "$1" 2>/dev/tcp/127.0.0.1/${port}`
    const child = spawn('bash', ['-c', command, process.execPath, PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGTERM')
    expect(await ended).toBe(7)
    server.close()
  })
})

describe('a log that goes to a file', () => {
  const program = `
    const { createLogger } = await import(${JSON.stringify(LOG_FILE)})
    const log = createLogger('m')
    log.info('one')
    process.stderr.write('two\\n')
    process.stdout.write('three\\n')
    log.info('four')
  `

  // As a shell's `> file 2>&1` opens it: what is written goes to the place of the descriptor, not to the end.
  test('has all that the process says in order, and nothing is written over', () => {
    const path = join(temporaryDirectory(), 'log')
    const file = openSync(path, 'w')
    spawnSync(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', file, file] })
    closeSync(file)
    const lines = readFileSync(path, 'utf8').split('\n')
    expect(lines.map((line) => line.split(' ').at(-1))).toEqual(['one', 'two', 'three', 'four', ''])
  })
})
