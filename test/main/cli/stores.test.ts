/**
 * `check` and `batch` on stores that are whole, damaged, cut off, and in use.
 *
 * Runs in pairs: commands on a store, and no node.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkStore } from '../../../src/shared/store/check-store.js'
import { dataFile, type Filled, fillStore, overwrite, writeFormat } from '../../support/damaged-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { batchOf, startProcessor } from '../../support/threads/processor-under-test.js'

const NARVAL = new URL('../../../dist/node.js', import.meta.url).pathname

function narval(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NARVAL, ...args], { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

const named = ({ digest }: Filled): string => Buffer.from(digest).toString('base64')
const sequences = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1)

describe('check', () => {
  it('of a whole store ends with 0', async () => {
    const directory = temporaryDirectory()
    await fillStore(directory, sequences(20))
    expect(narval('check', '--store', directory)).toEqual({
      code: 0,
      out: '20 batches, 0.4 MiB read: all whole\n',
      err: '',
    })
  })

  it("of an authority's reads all of its stores, also behind one that cannot be read", async () => {
    const directory = temporaryDirectory()
    const parts = ['worker-0', 'worker-2', 'worker-4294967295'].map((name) => join(directory, name))
    for (const part of parts) mkdirSync(part)
    const [filled] = await fillStore(parts[1]!, sequences(2))
    await fillStore(parts[2]!, sequences(3))
    const whole =
      'worker-2: 2 batches, 0.0 MiB read: all whole\nworker-4294967295: 3 batches, 0.1 MiB read: all whole\n'
    expect(narval('check', '--store', directory)).toEqual({ code: 0, out: whole, err: '' })
    expect(narval('batch', named(filled!), '--store', directory).out).toContain(named(filled!))
    writeFileSync(dataFile(parts[0]!), 'something else\n'.repeat(1_000))
    const result = narval('check', '--store', directory)
    expect(result).toMatchObject({ code: 1, out: whole })
    expect(result.err).toMatch(/^narval: ERR_STORE_FORMAT: .*\n$/)
  })

  it('of a part that cannot be looked into says that, and not that there is none', () => {
    const directory = temporaryDirectory()
    // For root too there is nothing behind a link to itself; another user meets a directory that it may not read.
    symlinkSync('worker-0', join(directory, 'worker-0'))
    for (const command of [['check'], ['batch', '00'.repeat(32)]]) {
      const { code, err } = narval(...command, '--store', directory)
      expect([code, err]).toEqual([1, expect.stringMatching(/^narval: ERR_FILE_UNREADABLE: .*ELOOP.*\n$/)])
    }
  })

  it('names each damaged batch, and no other, and ends with 1', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(20))
    overwrite(directory, filled[3]!.bytes, 9_000, Uint8Array.of(filled[3]!.bytes[9_000]! ^ 1))
    overwrite(directory, filled[11]!.bytes, 0, new Uint8Array(4_000))
    const { code, out } = narval('check', '--store', directory)
    expect(code).toBe(1)
    const damaged = out.split('\n').filter((line) => line.startsWith('damaged'))
    expect(damaged.map((line) => line.split(/ +/)[1]).sort()).toEqual([named(filled[3]!), named(filled[11]!)].sort())
    expect(out).toContain('read: 2 damaged\n')
  })

  it.each([0.9, 0.5, 0.2])('of a file cut off at %f of its length: all others are read', async (share) => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(60))
    truncateSync(dataFile(directory), Math.floor(statSync(dataFile(directory)).size * share))
    const { code, err, out } = narval('check', '--store', directory)
    expect([code, err]).toEqual([1, ''])
    // What it does not name can be printed.
    for (const batch of filled) {
      if (out.includes(named(batch)) || out.includes('damaged  (')) continue
      expect(narval('batch', named(batch), '--store', directory).code).toBe(0)
    }
  })

  it.each([
    ['ERR_FILE_MISSING', (directory: string) => join(directory, 'nothing')],
    [
      'ERR_STORE_FORMAT',
      (directory: string) => {
        writeFileSync(dataFile(directory), 'something else\n'.repeat(1_000))
        return directory
      },
    ],
  ])('of what is no store: one line, %s', (code, make) => {
    const result = narval('check', '--store', make(temporaryDirectory()))
    expect(result).toMatchObject({ code: 1, out: '' })
    expect(result.err).toMatch(new RegExp(`^narval: ${code}: .*\\n$`))
  })

  it('of a store of another format says so, and calls no batch damaged; `batch` says the same', async () => {
    const directory = temporaryDirectory()
    const [filled] = await fillStore(directory, [1])
    await writeFormat(directory, 2n)
    const line = /^narval: ERR_STORE_FORMAT: .* has format 2, whose batches have other digests; .*\n$/
    for (const command of [['check'], ['batch', named(filled!)]]) {
      const { code, err, out } = narval(...command, '--store', directory)
      expect([code, out]).toEqual([1, ''])
      expect(err).toMatch(line)
    }
  })

  it('of a store that a node writes to and deletes from finds nothing that is not so', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory, retentionRounds: 2, ownSlots: 8 })
    let open = true
    const load = (async () => {
      for (let n = 1; open; n += 1) {
        await processor.foreign({ bytes: batchOf(BigInt(n), 30_000) })
        if (n % 20 === 0) await processor.client.ask({ type: 'cleanup', round: BigInt(n / 20) })
      }
    })()
    const damaged: string[] = []
    let batches = 0
    for (let round = 0; round < 100; round += 1) {
      const result = checkStore(directory, {
        onDamaged: (...what) => damaged.push(what.join(' ')),
        onProgress: () => {},
      })
      batches += result.count
      await sleep(5)
    }
    open = false
    await load
    await processor.close()
    expect(damaged).toEqual([])
    expect(batches).toBeGreaterThan(100)
  })
})

describe('batch', () => {
  it('does not show what is damaged', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(3))
    overwrite(directory, filled[1]!.bytes, 9_000, new Uint8Array(100))
    const result = narval('batch', named(filled[1]!), '--store', directory, '--raw')
    expect(result).toMatchObject({ code: 1, out: '' })
    expect(result.err).toContain('ERR_STORE_DAMAGED')
    expect(narval('batch', named(filled[2]!), '--store', directory).code).toBe(0)
  })

  it('into a pipe that nobody reads holds nothing of the store', async () => {
    const directory = temporaryDirectory()
    const [filled] = await fillStore(directory, [1], 2_000_000)
    const child: ChildProcess = spawn(process.execPath, [
      NARVAL,
      'batch',
      named(filled!),
      '--store',
      directory,
      '--raw',
    ])
    onTestFinished(() => void child.kill('SIGKILL'))
    // The first bytes are there; the rest has no room.
    await once(child.stdout!, 'readable')
    const open = readdirSync(`/proc/${child.pid}/fd`).map((fd) => linkOf(`/proc/${child.pid}/fd/${fd}`))
    expect(open.filter((path) => path.includes(directory))).toEqual([])
  })
})

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
