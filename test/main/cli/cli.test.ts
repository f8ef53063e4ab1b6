/** Runs in pairs: commands that end at once. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import packageFile from '../../../package.json' with { type: 'json' }
import { describeBatch, describeSizes, findBatch } from '../../../src/main/cli/batch.js'
import { loadOf } from '../../../src/main/cli/client.js'
import { checkFlags, type LocalFlags } from '../../../src/main/cli/local.js'
import { readKeys } from '../../../src/shared/config/keys.js'
import { encodeBatch } from '../../../src/shared/wire/batch.js'
import { type Ended, runNarval } from '../../support/command-line.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

let base: string
beforeEach(() => {
  base = temporaryDirectory()
})

const narval = (...args: string[]): Ended => runNarval(base, args)

/** One line on stderr with this code, nothing on stdout. */
function expectError(result: Ended, status: number, code: string): void {
  expect(result.stderr).toMatch(new RegExp(`^narval: ${code}: [^\\n]+\\n$`))
  expect([result.status, result.stdout]).toEqual([status, ''])
}

describe('command line', () => {
  it('--version prints the version of the package, --help the commands; both are successes', () => {
    expect(narval('--version')).toEqual({ status: 0, stdout: `narval ${packageFile.version}\n`, stderr: '' })
    const help = narval('--help')
    expect(help.status).toBe(0)
    for (const command of ['generate_keys', 'run', 'client', 'local', 'batch']) expect(help.stdout).toContain(command)
  })

  it.each([
    [['nonsense']],
    [['local', '--nonsense']],
    [['local', '--nodes', 'four']],
    [['local', '--nodes', '0']],
    [['local', '--nodes', '4', '--faults', '4']],
    [['local', '--rule', 'bullshark']],
    [['local', '--size', '8']],
    [['local', '--size', '499933']],
    [['local', '--rate', '0']],
    [['local', '--rate', '1.5']],
    [['local', '--nodes', '100', '--workers', '100']],
    [['local', '--ack-level', 'maybe']],
    [['local', 'extra']],
    [['client', '127.0.0.1:4003', '--size', '512']],
    [['client', '10.0.0.256:4003', '--size', '512', '--rate', '10']],
    [['client', '127.0.0.1:4003', '--size', '8', '--rate', '10']],
    [['client', '127.0.0.1:4003', '--size', '8000000', '--rate', '100000000']],
    [['generate_keys']],
    [['generate_keys', '--filename', '']],
    [['fresh', '--keys', 'k', '--store', '']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', '', 'authority']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', '--parameters', '', 'authority']],
    [['local', '--dir', '']],
    [['log', '--store', '']],
    [['batch', 'short', '--store', 'x']],
    [['run', '--committee', 'c', '--store', 's', 'worker', '--id', '0']],
    [['run']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'wroker', '--id', '0']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', '--nonsense', 'worker', '--id', '0']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'worker', '--id', '0', '--nonsense']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'worker']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'worker', '--id', '-1']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', '--bind', 'example.org:4000', 'worker', '--id', '0']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'primary', '--id', '0']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'primary', '--rule', 'mine']],
    [['run', '--keys', 'k', '--committee', 'c', '--store', 's', 'worker', '--id', '0', '--primary', 'mine']],
  ])('a usage error is one line and exit code 2, and makes nothing: %j', (args) => {
    expectError(narval(...args), 2, 'ERR_USAGE')
    expect(readdirSync(base)).toEqual([])
  })

  it('generate_keys writes a key file that its owner alone can read, prints nothing, and overwrites nothing', () => {
    const file = join(base, '.node-0.json')
    expect(narval('generate_keys', '--filename', file)).toEqual({ status: 0, stdout: '', stderr: '' })
    const { name } = readKeys(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expectError(narval('generate_keys', '--filename', file), 1, 'ERR_FILE_EXISTS')
    expect(readKeys(file).name).toBe(name)
  })

  it('a batch of a store that is not there is one line and exit code 1, and no store is made', () => {
    const store = join(base, 'db')
    expectError(narval('batch', '00'.repeat(32), '--store', store), 1, 'ERR_FILE_MISSING')
    expect(existsSync(store)).toBe(false)
  })

  it('a directory of somebody else is one line and exit code 1', () => {
    writeFileSync(join(base, 'notes.txt'), 'mine')
    const result = narval('local', '--dir', '.', '--json')
    expectError(result, 1, 'ERR_DIRECTORY_FOREIGN')
    expect(readdirSync(base)).toEqual(['notes.txt'])
  })

  it.skipIf(process.platform !== 'linux')(
    'where no directory can be made it is said, and does not take for ever',
    () => {
      expectError(narval('local', '--dir', '/proc/narval/run', '--json'), 1, 'ERR_FILE_UNWRITABLE')
    },
  )

  it('a file in the place of a store is one line and exit code 1', () => {
    writeFileSync(join(base, 'notes.txt'), 'mine')
    for (const args of [['check'], ['batch', '00'.repeat(32)], ['log']]) {
      expectError(narval(...args, '--store', 'notes.txt'), 1, 'ERR_FILE_UNREADABLE')
    }
  })
})

describe('flags of local', () => {
  const flags: LocalFlags = {
    nodes: 4,
    workers: 1,
    rate: 20_000,
    size: 512,
    warmup: 0,
    duration: 20,
    faults: 0,
    unbuffered: false,
    split: false,
    ackLevel: 'durable',
    rule: 'shoal',
    json: false,
    keep: false,
  }

  it('the largest transaction that fits a batch is accepted, one byte more is refused with the limit', () => {
    expect(checkFlags({ ...flags, rate: 100, size: 499_932 }).transactionBytes).toBe(499_932)
    expect(() => checkFlags({ ...flags, rate: 100, size: 499_933 })).toThrow('at most 499932 bytes')
  })

  it('all but one authority may be left out', () => {
    expect(checkFlags({ ...flags, faults: 3 }).faults).toBe(3)
    expect(() => checkFlags({ ...flags, faults: 4 })).toThrow('at most 3')
  })
})

describe('flags of client', () => {
  const target = { host: '127.0.0.1', port: 4003 }

  it('are what the load client is asked for', () => {
    const load = { target, transactionBytes: 512, rate: 7, nodes: [], unbuffered: false }
    expect(loadOf({ target, size: 512, rate: 7 })).toEqual(load)
    expect(loadOf({ target, size: 512, rate: 7, nodes: [target], duration: 3, unbuffered: true })).toEqual({
      ...load,
      nodes: [target],
      durationS: 3,
      unbuffered: true,
    })
  })
})

describe('a stored batch in print', () => {
  const sizes = [512, 512, 512, 9, 512]
  const bytes = encodeBatch(
    sizes.map((size) => new Uint8Array(size).fill(1)),
    { workerId: 3, sequence: 77n },
  )
  const batch = { author: new Uint8Array(32).fill(1), stamp: 12n, bytes, isWhole: true }

  it('names author, stamp, header and sizes', () => {
    const text = describeBatch(new Uint8Array(32).fill(2), batch)
    expect(text).toContain(`digest        ${Buffer.alloc(32, 2).toString('base64')}\n`)
    expect(text).toContain(`author        ${Buffer.alloc(32, 1).toString('base64')}\n`)
    expect(text).toMatch(/^stamp +12$/m)
    expect(text).toMatch(/^worker id +3$/m)
    expect(text).toMatch(/^sequence +77$/m)
    expect(text).toMatch(/^transactions +5$/m)
    expect(text).toMatch(/^sizes +3 × 512 B$/m)
  })

  it('equal sizes in a row are one line', () => {
    expect(describeSizes(bytes)).toEqual(['3 × 512 B', '9 B', '512 B'])
  })

  it('one that is not there is ERR_BATCH_NOT_FOUND', () => {
    expect(() => findBatch({ get: () => undefined }, new Uint8Array(32), 'db')).toThrow(
      expect.objectContaining({ code: 'ERR_BATCH_NOT_FOUND' }),
    )
  })
})
