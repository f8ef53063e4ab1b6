/** Runs in pairs: commands on a store, and no node. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkStore } from '../../../src/shared/store/check-store.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { FOREIGN, fillStore, openStore } from '../../support/damaged-stores.js'
import { inPages } from '../../support/pages.js'
import { fillLog, openPrimaryStore, turnOf, written } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { batchOf, digestOf } from '../../support/threads/processor-under-test.js'
import { until } from '../../support/until.js'

const NODE_FILE = new URL('../../../dist/node.js', import.meta.url).pathname

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [NODE_FILE, 'backup', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Without holding up what this process does meanwhile. */
async function narval(...args: string[]): Promise<Result> {
  return resultOf(start(...args))
}

async function resultOf(child: ChildProcess): Promise<Result> {
  let [out, err] = ['', '']
  child.stdout!.on('data', (text) => (out += String(text)))
  child.stderr!.on('data', (text) => (err += String(text)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}

/** One line, and nothing beside the store. */
async function fails(error: RegExp, store: string, to: string): Promise<void> {
  const { code, err, out } = await narval('--store', store, '--to', to)
  expect(err).toMatch(/^narval: ERR_[A-Z_]+: [^\n]+\n$/)
  expect(err).toMatch(error)
  expect([code === 2 ? 2 : 1, out]).toEqual([code, ''])
  expect(existsSync(`${to}.unfinished`)).toBe(false)
}

function damageOf(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  return damaged
}

function readLastCommit(directory: string): number {
  const reader = new CommitLogReader(directory)
  try {
    return reader.bounds().last
  } finally {
    reader.close()
  }
}

/** An authority's directory with both stores. */
async function authority(batches = 3): Promise<string> {
  const store = join(temporaryDirectory(), 'store')
  for (const path of [store, join(store, 'primary'), join(store, 'worker-0')]) mkdirSync(path)
  await fillLog(join(store, 'primary'), 20)
  const sequences = Array.from({ length: batches }, (_, n) => n + 1)
  await fillStore(join(store, 'worker-0'), sequences)
  return store
}

describe('backup', () => {
  it("of an authority's stores has all of them, and takes the place of an empty directory", async () => {
    const store = await authority()
    const to = temporaryDirectory()
    const { code, err, out } = await narval('--store', store, '--to', to)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(
      /^primary: the primary's store up to commit 20, .*\nworker-0: the worker's store, 3 batches in segments, .*\n/,
    )
    expect(readdirSync(to).sort()).toEqual(['primary', 'worker-0'])
    for (const name of readdirSync(to)) expect(damageOf(join(to, name))).toEqual([])
    const one = join(temporaryDirectory(), 'worker')
    expect((await narval('--store', join(store, 'worker-0'), '--to', one)).code).toBe(0)
    expect(readdirSync(one).sort()).toEqual(['data.mdb', 'segments'])
  })

  it('of stores that are written to meanwhile is whole, and ends at a commit that was on the disk', async () => {
    const store = await authority()
    const primary = await openPrimaryStore(join(store, 'primary'))
    const worker = openStore(join(store, 'worker-0'))
    await worker.open()
    const to = join(temporaryDirectory(), 'backup')
    const running = narval('--store', store, '--to', to)
    let isOver = false
    const ended = running.finally(() => {
      isOver = true
    })
    let index = 20
    for (; !isOver; index += 1) {
      await written(primary, ...turnOf(index + 1, index + 1))
      const [batch] = inPages([batchOf(BigInt(index), 30_000)])
      await worker.put(digestOf(batch!, FOREIGN), FOREIGN, batch!)
    }
    const { code, err } = await ended
    expect([code, err]).toEqual([0, ''])
    await primary.close()
    await worker.close()
    for (const name of ['primary', 'worker-0']) expect(damageOf(join(to, name))).toEqual([])
    expect(readLastCommit(join(to, 'primary'))).toBeGreaterThanOrEqual(20)
    expect(readLastCommit(join(to, 'primary'))).toBeLessThanOrEqual(index)
  })

  it.each([
    ['a directory that is not empty', /ERR_FILE_EXISTS/, 'full'],
    ['a file', /ERR_FILE_EXISTS/, 'full/file'],
    ['a place in the store', /ERR_USAGE: .* in the store itself/, 'store/primary/backup'],
    ['a place that is not there', /ERR_FILE_MISSING/, 'none/backup'],
    ['a place where nothing can be made', /ERR_STORE_WRITE/, '/proc/backup'],
  ])('refuses %s in one line, and leaves nothing', async (_, error, to) => {
    const store = await authority(1)
    const directory = dirname(store)
    mkdirSync(join(directory, 'full'))
    writeFileSync(join(directory, 'full', 'file'), '')
    await fails(error, store, resolve(directory, to))
    expect(readdirSync(directory).sort()).toEqual(['full', 'store'])
  })

  it('refuses a store that is not there', async () => {
    const directory = temporaryDirectory()
    await fails(/ERR_FILE_MISSING/, join(directory, 'none'), join(directory, 'backup'))
    expect(readdirSync(directory)).toEqual([])
  })

  it('on a disk that is full leaves nothing there', async (test) => {
    const store = await authority(100)
    const path = temporaryDirectory()
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'narval-test', path], {
      encoding: 'utf8',
    })
    if (status !== 0) return test.skip(`no file system can be mounted here: ${stderr?.trim()}`)
    onTestFinished(() => void spawnSync('umount', ['-l', path]))
    const { code, err } = await narval('--store', store, '--to', join(path, 'backup'))
    expect(err).toMatch(/^narval: ERR_STORE_WRITE: the backup cannot be written.*no space left[^\n]*\n$/)
    expect([code, readdirSync(path)]).toEqual([1, []])
  })

  it('that is interrupted, or killed, leaves nothing under its name, and the next one is whole', async () => {
    const store = await authority(200)
    const to = join(temporaryDirectory(), 'backup')
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const child = start('--store', store, '--to', to)
      const result = resultOf(child)
      await until('it has begun', () => existsSync(`${to}.unfinished`) || child.exitCode !== null)
      child.kill(signal)
      const { code, err } = await result
      // One that was quicker than the signal is whole.
      if (code === 0) return
      expect(err).toBe('')
      expect([code, existsSync(to)]).toEqual([signal === 'SIGINT' ? 130 : null, false])
      if (signal === 'SIGINT') expect(existsSync(`${to}.unfinished`)).toBe(false)
    }
    expect((await narval('--store', store, '--to', to)).code).toBe(0)
    for (const name of ['primary', 'worker-0']) expect(damageOf(join(to, name))).toEqual([])
    expect(existsSync(`${to}.unfinished`)).toBe(false)
  })
})
