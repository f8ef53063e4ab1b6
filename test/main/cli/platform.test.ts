/**
 * What the machine, its file system or its Node lacks: one line that says what to do, and exit code 1.
 *
 * Runs in pairs: commands that end at once.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createLayout } from '../../../src/shared/memory/layout.js'
import { commandName, shellWord } from '../../../src/shared/runtime/command.js'
import { platformProblem, refusedPlatform } from '../../../src/shared/runtime/platform.js'
import { NODE_FILE, TestCommittee } from '../../support/committee.js'
import { environmentOf } from '../../support/preload.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const LIBRARY = join(dirname(NODE_FILE), 'index.js')

let committee: TestCommittee
beforeAll(async () => {
  committee = await TestCommittee.make({ nodes: 1 })
})
afterAll(() => committee.close())

interface How {
  readonly environment?: Record<string, string>
  readonly nodeFlags?: readonly string[]
  readonly executable?: string
  readonly uid?: number
}

/** Runs the command line to its end. */
function narval(args: readonly string[], { environment, executable = NODE_FILE, nodeFlags = [], uid }: How = {}) {
  const { status, stderr } = spawnSync(process.execPath, ['--no-warnings', ...nodeFlags, executable, ...args], {
    encoding: 'utf8',
    timeout: 40_000,
    env: { ...process.env, ...environment },
    ...(uid !== undefined && { uid, gid: uid }),
  })
  return { status, stderr }
}

function runArgs(store: string): string[] {
  const { directory } = committee
  const files = ['--keys', join(directory, '.node-0.json'), '--committee', join(directory, '.committee.json')]
  return ['-v', 'run', ...files, '--store', store, '--bind', '127.0.0.1', 'worker', '--id', '0']
}

function expectLine(result: ReturnType<typeof narval>, line: RegExp): void {
  expect(result.stderr).toMatch(/^narval: [^\n]+\n$/)
  expect(result.stderr).toMatch(line)
  expect(result.status).toBe(1)
}

describe('a file system', () => {
  it('without shared mappings, on which LMDB ends the process', (test) => {
    const environment = environmentOf({ mmap: constants.errno.ENODEV })
    if ('reason' in environment) return test.skip(environment.reason)
    const store = join(temporaryDirectory(), 'db')
    const result = narval(runArgs(store), { environment: environment as Record<string, string> })
    expectLine(
      result,
      /ERR_STORE_WRITE: the file system of .* cannot hold a store, since LMDB maps .* \(SIG\w+\): give/,
    )
    expect(readdirSync(store)).toEqual(['narval.lock'])
  })

  it.each(['ENOLCK', 'EOPNOTSUPP'] as const)('without locks: %s', (name) => {
    const environment = environmentOf({ lock: constants.errno[name] })
    if ('reason' in environment) return
    const result = narval(runArgs(join(temporaryDirectory(), 'db')), {
      environment: environment as Record<string, string>,
    })
    expectLine(result, /ERR_STORE_WRITE: the file system of .* takes no locks \(.+\), .* on a local disk/)
  })

  it('that cannot be written to', (test) => {
    const path = temporaryDirectory()
    const mount = (...args: string[]) => spawnSync('mount', args, { encoding: 'utf8' })
    if (mount('-t', 'tmpfs', '-o', 'size=8m', 'narval-test', path).status !== 0) return test.skip('no mount here')
    onTestFinished(() => void spawnSync('umount', ['-l', path]))
    mount('-o', 'remount,ro', path)
    expectLine(narval(runArgs(join(path, 'db'))), /ERR_STORE_WRITE: .*EROFS.*: give --store a directory that this user/)
  })

  it('where the user may not write', (test) => {
    if (process.getuid?.() !== 0) return test.skip('only root can become another user')
    const { error } = spawnSync(process.execPath, ['--version'], { uid: 65_534, gid: 65_534 })
    if (error !== undefined) return test.skip(`that user cannot run this Node: ${error.message}`)
    // Neither the keys nor the directory are that user's.
    const result = narval(['generate_keys', '--filename', join(committee.directory, 'new.json')], { uid: 65_534 })
    expectLine(result, /ERR_FILE_UNWRITABLE: .*EACCES/)
    expectLine(narval(runArgs('db'), { uid: 65_534 }), /ERR_FILE_UNREADABLE: key file .*EACCES/)
  })
})

describe('a Node with frozen intrinsics', () => {
  it.each([['--help'], ['local', '--duration', '1'], ['check', '--store', 'x']])('runs no command: %s', (...args) => {
    expectLine(narval(args, { nodeFlags: ['--frozen-intrinsics'] }), /ERR_PLATFORM: .* without --frozen-intrinsics/)
  })

  it('does not load the library either, and says why', () => {
    const code = `import(${JSON.stringify(LIBRARY)}).catch(({ code, message }) => console.error(code, message))`
    const { stderr } = spawnSync(process.execPath, ['--no-warnings', '--frozen-intrinsics', '-e', code], {
      encoding: 'utf8',
    })
    expect(stderr).toMatch(/^ERR_PLATFORM .* without --frozen-intrinsics/)
  })
})

describe('an installation without a native part', () => {
  /** The package with all that it needs, in which these packages are real copies without their native files. */
  function installationWithout(...parts: string[]): string {
    const directory = temporaryDirectory()
    const modules = join(directory, 'node_modules')
    mkdirSync(modules)
    cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'))
    cpSync(dirname(NODE_FILE), join(directory, 'dist'), { recursive: true })
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      if (name.startsWith('.') || name === '@lmdb' || parts.includes(name)) continue
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
    }
    for (const name of parts) {
      cpSync(join(ROOT, 'node_modules', name), join(modules, name), { recursive: true })
      for (const built of ['prebuilds', 'build']) rmSync(join(modules, name, built), { recursive: true, force: true })
    }
    return join(directory, 'dist/node.js')
  }

  it.each([['lmdb'], ['fs-native-extensions']])('%s', (part) => {
    const executable = installationWithout(part)
    const result = narval(runArgs(join(temporaryDirectory(), 'db')), { executable })
    expectLine(result, /ERR_PLATFORM: a native part is not there for \w+ on \w+ with Node .*: install narval anew/)
    expect(narval(['--version'], { executable }).status).toBe(0)
  })

  it('or with one for another C library', () => {
    const error = Object.assign(new Error("/lib/libc.so.6: version `GLIBC_2.38' not found"), {
      code: 'ERR_DLOPEN_FAILED',
    })
    expect(platformProblem(error)).toMatchObject({ code: 'ERR_PLATFORM' })
    expect(platformProblem(new Error('something else'))).toBeUndefined()
  })
})

describe('too little', () => {
  it('memory', () => {
    const options = { ownSlots: 2 ** 20, inboundSlotsPerPeer: 2, authorities: 4, batchBytesMax: 2 ** 33 }
    expect(() => createLayout(options)).toThrow(expect.objectContaining({ code: 'ERR_PLATFORM' }))
    expect(platformProblem(new RangeError('WebAssembly.Instance(): Out of memory'))).toMatchObject({
      code: 'ERR_PLATFORM',
    })
    expect(platformProblem(new RangeError('Invalid count value: -1'))).toBeUndefined()
  })

  it('a Node that is too old', () => {
    expect(refusedPlatform('18.20.4', false)?.message).toBe('Node 18.20.4 is too old: narval needs 20.19 or later')
    expect(refusedPlatform('20.19.0', false)).toBeUndefined()
    expect(refusedPlatform('26.1.0', false)).toBeUndefined()
  })
})

describe('what a line says to call next', () => {
  const installed = '/home/somebody/app/node_modules'
  const executable = fileURLToPath(new URL('../../../src/node.js', import.meta.url))

  it.each([
    ['a package that is installed', `${installed}/.bin/narval`, '/home/somebody/app', 'npx narval'],
    ['one that is installed for all', '/usr/local/bin/narval', '/home/somebody', 'narval'],
    ['the file of such a package', `${installed}/narval-node/dist/node.js`, '/home/somebody/app', 'npx narval'],
    ['a program that has narval as a library', '/home/somebody/app/index.js', '/home/somebody/app', 'npx narval'],
    ['a clone', executable, dirname(dirname(executable)), 'node src/node.js'],
    ['a clone, from elsewhere', executable, '/somewhere/else', `node ${executable}`],
  ])('%s', (_, script, directory, expected) => {
    expect(commandName(script, directory)).toBe(expected)
  })

  it('has each path as one word of the shell', () => {
    expect(['/a/b-1.json', '/ä/b', '/a b', "/it's", '/$x', ''].map(shellWord)).toEqual([
      '/a/b-1.json',
      '/ä/b',
      "'/a b'",
      "'/it'\\''s'",
      "'/$x'",
      "''",
    ])
  })

  it('is what a clone is called by, behind a link whose path has a space', () => {
    const [directory, link] = [temporaryDirectory(), join(temporaryDirectory(), 'my narval')]
    symlinkSync(fileURLToPath(new URL('../../..', import.meta.url)), link)
    const args = [join(link, 'dist/node'), 'fresh', '--keys', 'my keys', '--store', 's']
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: directory })
    expect(stderr).toContain(`\`node '${link}/dist/node' generate_keys --filename 'my keys'\``)
  })

  it('is what the executable is called by', () => {
    const missing = join(temporaryDirectory(), 'keys.json')
    const { stderr } = narval(['run', '--keys', missing, '--committee', 'c', '--store', 's', 'worker', '--id', '0'])
    expect(stderr).toContain(`make it with \`node dist/node.js generate_keys --filename ${missing}\``)
  })
})
