/**
 * What `run … worker` says and does when something is wrong, and how it ends, as a user meets it.
 *
 * Runs in pairs: one node at a time, idle.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { POOL_THREADS } from '../../../src/main/names/limits.js'
import { type CommitteeFile, formatCommittee, localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys, writeKeys } from '../../../src/shared/config/keys.js'
import { v8FlagsFor } from '../../../src/shared/runtime/v8-flags.js'
import { TestClient } from '../../support/client.js'
import { NODE_FILE, TestCommittee, testCommittee, until } from '../../support/committee.js'
import { freePorts } from '../../support/free-ports.js'
import { environmentOf } from '../../support/preload.js'
import { childrenOf, commandOf, ended, groupEnded } from '../../support/processes.js'
import { readStore } from '../../support/stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

/** The flags of `run … worker`; undefined leaves one out. */
interface Flags {
  readonly keys?: string
  readonly committee?: string
  readonly parameters?: string | undefined
  readonly store?: string
  readonly metrics?: string | undefined
  readonly id?: string
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

let committee: TestCommittee
let directory: string
const children = new Set<ChildProcess>()

beforeAll(async () => {
  committee = await TestCommittee.make({ nodes: 1 })
  directory = committee.directory
})
afterAll(() => committee.close())
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(join(directory, '.db-0-0'), { recursive: true, force: true })
})

function argsOf(flags: Flags): string[] {
  const given = {
    keys: join(directory, '.node-0.json'),
    committee: join(directory, '.committee.json'),
    parameters: join(directory, '.parameters.json'),
    store: join(directory, '.db-0-0'),
    metrics: undefined,
    bind: '127.0.0.1',
    ...flags,
  }
  const { id = '0', ...run } = given
  const list = Object.entries(run).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]))
  return [NODE_FILE, '-vv', 'run', ...list, 'worker', '--id', id]
}

class Run {
  stderr = ''
  readonly child: ChildProcess
  readonly ended: Promise<Ended>

  /** With a channel it is a child that ends with its parent; without one it is as a shell starts it. */
  constructor(
    args: readonly string[],
    nodeFlags = v8FlagsFor(process.versions.node),
    hasChannel = true,
    environment: Readonly<Record<string, string>> = {},
    hasGroup = false,
  ) {
    const child = spawn(process.execPath, [...nodeFlags, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', ...(hasChannel ? (['ipc'] as const) : [])],
      detached: hasGroup,
      env: { ...process.env, ...(hasChannel && { NARVAL_CHILD: '1' }), ...environment },
    })
    this.child = child
    children.add(child)
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = once(child, 'close').then(([code, signal]) => {
      children.delete(child)
      return { code, signal, stderr: this.stderr }
    })
  }

  async booted(): Promise<void> {
    await until('the node has booted', () => {
      if (this.child.exitCode !== null) throw new Error(`the node ended: ${this.stderr}`)
      return this.stderr.includes('successfully booted on')
    })
  }
}

/** Runs a node that is to fail at its start: one line with this code, exit code 1, and no port is left open. */
async function fails(code: string, flags: Flags = {}): Promise<string> {
  const { stderr, ...exit } = await new Run(argsOf(flags)).ended
  expect(stderr).toMatch(new RegExp(`^narval: ${code}: [^\\n]+\\n$`))
  expect(exit).toEqual({ code: 1, signal: null })
  for (const port of ownPorts()) await (await listen(port)).close()
  return stderr
}

function ownPorts(): number[] {
  const { transactionsPort, workerPort, primaryToWorkerPort, metricsPort } = committee.node(0)
  return [transactionsPort, workerPort, primaryToWorkerPort, metricsPort]
}

async function listen(port: number): Promise<{ close(): Promise<void> }> {
  const server: Server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return { close: () => new Promise((resolve) => server.close(() => resolve())) }
}

function file(name: string, text: string): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, text)
  return path
}

describe('files', () => {
  it.each(['keys', 'committee', 'parameters'] as const)('a missing %s file', async (flag) => {
    const path = join(directory, 'missing.json')
    expect(await fails('ERR_FILE_MISSING', { [flag]: path })).toContain(`${path} does not exist: `)
    expect(existsSync(join(directory, '.db-0-0'))).toBe(false)
  })

  it.each(['keys', 'committee', 'parameters'] as const)('a %s file that is not JSON', async (flag) => {
    const path = file('broken.json', '{\n  "name": "x",\n}\n')
    expect(await fails('ERR_FILE_MALFORMED', { [flag]: path })).toMatch(/broken\.json.*: line 3, column 1: /)
    expect(existsSync(join(directory, '.db-0-0'))).toBe(false)
  })

  it.each([
    ['keys', 'ERR_KEYS_MALFORMED'],
    ['committee', 'ERR_COMMITTEE_MALFORMED'],
    ['parameters', 'ERR_PARAMETERS_MALFORMED'],
  ] as const)('a %s file with other keys than it should have', async (flag, code) => {
    await fails(code, { [flag]: file('other.json', '{"nonsense": 1}') })
  })

  it('a key outside the committee', async () => {
    const keys = join(temporaryDirectory(), 'stranger.json')
    const stranger = generateKeys()
    writeKeys(keys, stranger)
    expect(await fails('ERR_NOT_IN_COMMITTEE', { keys })).toContain(stranger.name)
  })

  it('a worker that the committee file does not have', async () => {
    expect(await fails('ERR_NOT_IN_COMMITTEE', { id: '7' })).toContain('the committee file has the workers 0')
  })
})

describe('ports', () => {
  it.each([
    ["the clients' transactions", 0],
    ['other workers', 1],
    ["the primary's messages", 2],
    ['metrics', 3],
  ])('a port in use that is to receive %s', async (_, index) => {
    const port = ownPorts()[index]!
    const taken = await listen(port)
    const { stderr, ...exit } = await new Run(argsOf({ metrics: `127.0.0.1:${committee.node(0).metricsPort}` })).ended
    await taken.close()
    // Before the last of its ports it may have spoken of its primary.
    const lines = stderr.split('\n').filter((line) => !/(connected to|for) the primary/.test(line))
    expect(lines).toEqual([expect.stringMatching(`^narval: ERR_ADDRESS_IN_USE: 127.0.0.1:${port}, which is`), ''])
    expect(exit).toEqual({ code: 1, signal: null })
    // Nothing of it is left: it starts as soon as the port is free.
    const run = new Run(argsOf({}))
    await run.booted()
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: 0 })
  })
})

describe('stores', () => {
  it('a store that another node has open is refused, and that one goes on', async () => {
    const node = committee.node(0)
    const first = new Run(argsOf({}))
    await first.booted()
    const keys = join(temporaryDirectory(), 'keys.json')
    const second = generateKeys()
    writeKeys(keys, second)
    const otherCommittee = localCommittee([second.name], 1, await freePorts(5))
    const path = file('committee.json', formatCommittee(otherCommittee))
    const { stderr, ...exit } = await new Run(argsOf({ keys, committee: path })).ended
    expect(stderr).toMatch(/^narval: ERR_STORE_LOCKED: [^\n]+\n$/)
    expect(stderr).toContain(`(process ${first.child.pid})`)
    expect(exit).toEqual({ code: 1, signal: null })
    const before = node.primary.own.size
    const client = await TestClient.connect(node.transactionsPort)
    await client.send(1, 100)
    await until('it certifies', () => node.primary.own.size > before)
    await client.end()
    first.child.kill('SIGTERM')
    expect(await first.ended).toMatchObject({ code: 0 })

    // Nor is the store taken by another authority when it is free.
    const foreign = await new Run(argsOf({ keys, committee: path })).ended
    expect(foreign.stderr).toMatch(/^narval: ERR_STORE_FOREIGN: [^\n]+\n$/)
    expect(foreign.code).toBe(1)
  })

  it('a directory that cannot be made', async () => {
    const store = join(file('not-a-directory', ''), 'db')
    expect(await fails('ERR_STORE_WRITE', { store })).toContain(store)
  })

  it('a store that is no store', async () => {
    const store = join(temporaryDirectory(), 'db')
    mkdirSync(store)
    writeFileSync(join(store, 'data.mdb'), 'this is not LMDB at all\n'.repeat(1000))
    expect(await fails('ERR_STORE_FORMAT', { store })).toContain(store)
  })
})

/** A file system of its own of this size, or a reason why there can be none. */
function mountSmall(size: string): string | { reason: string } {
  const path = temporaryDirectory()
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'narval-test', path], {
    encoding: 'utf8',
  })
  if (status !== 0) return { reason: `no file system can be mounted here: ${stderr?.trim() || 'no mount command'}` }
  onTestFinished(() => {
    spawnSync('umount', ['-l', path])
  })
  return path
}

describe('a full disk', () => {
  it('at the start: one line, exit code 1', async (test) => {
    const path = mountSmall('16k')
    if (typeof path !== 'string') return test.skip(path.reason)
    expect(await fails('ERR_STORE_WRITE', { store: join(path, 'db') })).toContain('no space left')
  })

  it('under load: the node stops with one clear line, and nothing acknowledged is lost', async (test) => {
    const path = mountSmall('8m')
    if (typeof path !== 'string') return test.skip(path.reason)
    const full = await testCommittee({ nodes: 1 })
    const { primary, transactionsPort, keys, index } = full.node(0)
    const store = join(path, 'db')
    const args = argsOf({
      keys: join(full.directory, `.node-${index}.json`),
      committee: join(full.directory, '.committee.json'),
      store,
    })
    const first = new Run(args)
    await first.booted()
    const client = await TestClient.connect(transactionsPort)
    for (let chunk = 0; chunk < 400 && client.isConnected; chunk += 1) {
      await Promise.race([client.send(40, 1000), first.ended])
    }
    const { code, stderr } = await first.ended
    client.destroy()
    expect(code).toBe(1)
    const last = stderr.trimEnd().split('\n').at(-1)
    expect(last).toMatch(/ERR_STORE_WRITE: no space left .*: make room, then start the node again/)
    expect(primary.own.size).toBeGreaterThan(0)

    const reported = [...primary.own.keys()]
    spawnSync('mount', ['-o', 'remount,size=64m', path])
    const second = new Run(args)
    await second.booted()
    const batches = await readStore(store)
    expect(reported.filter((digest) => !batches.has(digest))).toEqual([])
    expect([...batches.values()].every(({ author }) => author === keys.name)).toBe(true)
    await until('what was stored is reported', () => [...batches.keys()].every((digest) => primary.own.has(digest)))
    second.child.kill('SIGTERM')
    expect(await second.ended).toMatchObject({ code: 0 })
  })
})

describe('signals', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s closes the node with exit code 0, and all of its ports',
    async (signal) => {
      const run = new Run(argsOf({ metrics: `127.0.0.1:${committee.node(0).metricsPort}` }))
      await run.booted()
      run.child.kill(signal)
      expect(await run.ended).toMatchObject({ code: 0, signal: null })
      expect(run.stderr).toMatch(/Closed\n$/)
      for (const port of ownPorts()) await (await listen(port)).close()
      expect(readdirSync(join(directory, '.db-0-0'))).toContain('data.mdb')
    },
  )

  it('SIGTERM while it starts ends it in order: exit code 0, nothing left open, and it starts again', async () => {
    const starting = new Run(argsOf({}))
    const lock = join(directory, '.db-0-0', 'data.mdb')
    await until('its store is being opened', () => existsSync(lock))
    starting.child.kill('SIGTERM')
    expect(await starting.ended).toMatchObject({ code: 0, signal: null })
    expect(starting.stderr).toMatch(/Closed\n$/)
    for (const port of ownPorts()) await (await listen(port)).close()
    const again = new Run(argsOf({}))
    await again.booted()
    again.child.kill('SIGTERM')
    expect(await again.ended).toMatchObject({ code: 0 })
  })

  /** Has each process send itself a signal as soon as it has a handler for it. */
  const AT_ONCE = `--import=data:text/javascript,process.on("newListener",function%20at(name){
    if(name==="SIGTERM"){process.off("newListener",at);process.nextTick(()=>process.kill(process.pid,name))}})`.replaceAll(
    /\s*\n\s*/g,
    '',
  )

  it('SIGTERM while it is loaded ends it in order, before it looks at any file', async () => {
    const { code, signal, stderr } = await new Run(argsOf({ keys: 'nowhere' }), [
      AT_ONCE,
      ...v8FlagsFor(process.versions.node),
    ]).ended
    expect({ code, signal }).toEqual({ code: 0, signal: null })
    expect(stderr).toMatch(/SIGTERM: closing; once more ends at once\n.*Closed\n$/)
    expect(existsSync(join(directory, '.db-0-0'))).toBe(false)
  })

  it.each([0, 20, 50, 100, 200, 400])('Ctrl-C after %i ms leaves nothing behind', async (ms) => {
    // As a shell starts it: a process group of its own, to which the terminal sends the signal.
    const run = new Run(argsOf({}), [], false, {}, true)
    await sleep(ms)
    process.kill(-run.child.pid!, 'SIGINT')
    const { code, signal } = await run.ended
    // By the signal itself before narval has begun, in order after that.
    expect(signal ?? code).toBe(signal === null ? 0 : 'SIGINT')
    await groupEnded(run.child.pid!)
    for (const port of ownPorts()) await (await listen(port)).close()
    const again = new Run(argsOf({}))
    await again.booted()
    again.child.kill('SIGTERM')
    expect(await again.ended).toMatchObject({ code: 0 })
  })

  it('a second signal ends it at once, whatever is in flight', async () => {
    // Alone in a committee of two it has batches that nobody certifies, and would wait for them.
    const two = await testCommittee({ nodes: 2 })
    const node = two.node(0)
    const run = new Run(
      argsOf({
        keys: join(two.directory, '.node-0.json'),
        committee: join(two.directory, '.committee.json'),
        store: node.store,
        metrics: `127.0.0.1:${node.metricsPort}`,
      }),
    )
    await run.booted()
    const client = await node.client()
    await client.send(1, 100)
    await until('a batch waits', async () => (await node.metric('narval_batches_in_flight')) === 1)
    run.child.kill('SIGTERM')
    await until('it closes', () => run.stderr.includes('once more ends at once'))
    // Two signals in quick succession are one: a terminal and npm both pass on the same Ctrl-C.
    await until('it has ended', () => {
      run.child.kill('SIGTERM')
      return run.child.exitCode !== null
    })
    expect(await run.ended).toMatchObject({ code: 1, signal: null })
    expect(run.stderr).not.toMatch(/Closed\n$/)
    client.destroy()
    // The batch is in the store all the same.
    expect((await node.readStore()).size).toBe(1)
  })

  it('started without the flags of V8 it starts itself again with them, and passes on signals and the exit code', async (test) => {
    if (v8FlagsFor(process.versions.node).length === 0) return test.skip('this version of Node needs no flags')
    // Where Node can, it replaces itself; elsewhere it stays as the parent of the one that runs.
    const replaced = 'execve' in process
    const run = new Run(argsOf({}), [], !replaced)
    await run.booted()
    const children = childrenOf(run.child.pid!)
    expect(children).toHaveLength(replaced ? 0 : 1)
    const inner = replaced ? run.child.pid! : children[0]!
    expect(commandOf(inner)).toContain(v8FlagsFor(process.versions.node)[0])
    expect(poolThreadsOf(inner)).toBe(`${POOL_THREADS}`)
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: 0, signal: null })
    await ended(inner)

    // With a channel it always stays. A size of the pool that the user sets is the user's.
    const killed = new Run(argsOf({}), [], true, { UV_THREADPOOL_SIZE: '5' })
    await killed.booted()
    const [orphan = killed.child.pid!] = childrenOf(killed.child.pid!)
    expect(poolThreadsOf(orphan)).toBe('5')
    killed.child.kill('SIGKILL')
    await ended(orphan)
    for (const port of ownPorts()) await (await listen(port)).close()
  })
})

describe('names that nobody answers for', () => {
  /** A committee of two; the other worker, and the primary, have names at which the resolver hangs. */
  async function unanswered(test: { skip(why: string): never }) {
    const hosts = join(temporaryDirectory(), 'hosts')
    const environment = environmentOf({ hosts })
    if ('reason' in environment) return test.skip(environment.reason as string)
    writeFileSync(hosts, 'worker.test hang\nprimary.test hang\n')
    const two = await testCommittee({ nodes: 2 })
    const file = join(two.directory, '.committee.json')
    const text = JSON.parse(readFileSync(file, 'utf8')) as CommitteeFile
    const [own, other] = [two.node(0).name, two.node(1).name]
    const rename = <T>(part: T, host: string): T => JSON.parse(JSON.stringify(part).replaceAll('127.0.0.1', host)) as T
    const authorities = {
      ...text.authorities,
      [own]: { ...text.authorities[own]!, primary: rename(text.authorities[own]!.primary, 'primary.test') },
      [other]: rename(text.authorities[other]!, 'worker.test'),
    }
    writeFileSync(file, JSON.stringify({ authorities }))
    const keys = join(two.directory, '.node-0.json')
    const args = argsOf({ keys, committee: file, store: two.node(0).store })
    return { args, environment: environment as Record<string, string>, keys, file }
  }

  it('do not hold up its end: SIGTERM ends it with exit code 0, and nothing is left', async (test) => {
    const { args, environment } = await unanswered(test)
    const run = new Run(args, [], false, environment)
    await run.booted()
    await until('the names are asked about', () =>
      run.stderr.includes('The name worker.test does not resolve (no answer'),
    )
    const [inner = run.child.pid!] = childrenOf(run.child.pid!)
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: 0, signal: null })
    expect(run.stderr).toMatch(/Closed\n$/)
    await ended(inner)
  })

  it('do not hold it up where it cannot exit with a code: it ends by the signal', async (test) => {
    if ('execve' in process) return test.skip('Node can replace its process')
    const { args, environment } = await unanswered(test)
    const run = new Run(args, v8FlagsFor(process.versions.node), false, environment)
    await run.booted()
    await until('the names are asked about', () =>
      run.stderr.includes('The name worker.test does not resolve (no answer'),
    )
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: null, signal: 'SIGTERM' })
    expect(run.stderr).toMatch(/Closed\n$/)
  })

  it('do not hold up close() of the library', async (test) => {
    const { environment, file, keys } = await unanswered(test)
    const library = JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)
    const code = `
      import { readCommittee, readKeys, startWorker } from ${library}
      const log = { error() {}, info() {}, debug() {}, trace() {}, warn: (text) => console.log(text) }
      const worker = await startWorker({
        keys: readKeys(${JSON.stringify(keys)}), committee: readCommittee(${JSON.stringify(file)}),
        store: ${JSON.stringify(join(temporaryDirectory(), 'store'))}, log,
      })
      process.stdin.once('data', async () => {
        await worker.close()
        await worker.stopped
        console.log('closed')
      })`
    const programFile = join(temporaryDirectory(), 'program.mjs')
    writeFileSync(programFile, code)
    const program = spawn(process.execPath, [programFile], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    })
    children.add(program)
    let stdout = ''
    program.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    await until('the names are asked about', () => stdout.includes('The name worker.test does not resolve (no answer'))
    program.stdin!.write('close\n')
    await until('it has closed', () => stdout.includes('closed\n'))
  })
})

/** What libuv reads in a process that has started. */
function poolThreadsOf(pid: number): string | undefined {
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  return environment.find((entry) => entry.startsWith('UV_THREADPOOL_SIZE='))?.split('=')[1]
}
