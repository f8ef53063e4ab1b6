/** Runs in pairs: commands on a store, and no node. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { dataFile, fillStore, writeAt } from '../../support/damaged-stores.js'
import { certificateOf, fillLog, openPrimaryStore, turnOf, written } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { batchOf } from '../../support/threads/commit-pattern.mjs'
import { until } from '../../support/until.js'

const NODE_FILE = new URL('../../../dist/node.js', import.meta.url).pathname

function narval(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NODE_FILE, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  return { status, stdout, stderr }
}

function expectError(result: ReturnType<typeof narval>, status: number, code: string): void {
  expect(result.stderr).toMatch(new RegExp(`^narval: ${code}: [^\\n]+\\n$`))
  expect([result.status, result.stdout]).toEqual([status, ''])
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

interface Line {
  readonly commit: number
  readonly digest: string
  readonly previous: string
  readonly batches: readonly { digest: string }[]
}
const parsed = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

describe('log', () => {
  it('prints commits with their batches, from a place on, so many', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 20)
    const { status, stderr, stdout } = narval('log', '--store', directory, '--after', '11', '--limit', '2')
    expect([status, stderr]).toEqual([0, ''])
    const lines = stdout.split('\n')
    expect(lines).toHaveLength(1 + 2 + 1 + 3 + 1)
    expect(lines[0]).toMatch(
      /^commit 12 {2}round 12 of authority 0 {2}1 certificate, 2 batches {2}1970-01-01T00:00:01.012Z {2}[0-9a-f]{64}$/,
    )
    const { author, digest, sequence } = batchOf(12, 1)
    expect(lines[2]).toBe(`  ${base64(digest)}  worker 0 of authority ${author}  sequence ${sequence}`)
    expect(lines[3]).toMatch(/^commit 13 /)
  })

  it('prints lines of JSON, which are a chain with those of commits without batches', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 70)
    const lines = parsed(narval('log', '--store', directory, '--json', '--empty').stdout)
    const full = parsed(narval('log', '--store', directory, '--json').stdout)
    expect(full).toEqual(lines.filter(({ batches }) => batches.length > 0))
    expect(full.length).toBeLessThan(70)
    expect(lines.map(({ commit }) => commit)).toEqual(Array.from({ length: 70 }, (_, n) => n + 1))
    for (const [at, line] of lines.entries()) expect(line.previous).toBe(lines[at - 1]?.digest ?? '00'.repeat(32))
    const { author, digest, sequence } = batchOf(12, 0)
    expect(lines[11]).toMatchObject({
      epoch: 0,
      round: 12,
      author: 0,
      timestamp_ms: 1012,
      first_batch: 21,
      batch_count: 2,
      certificates: [{ round: 12, author: 0, header: hex(certificateOf(12).digest) }],
      batches: [{ digest: base64(digest), author, worker: 0, sequence: String(sequence) }, {}],
    })
  })

  it('prints a commit of many batches piece by piece, as one line of JSON', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    await written(store, ...turnOf(1, 1, 20_000))
    await store.close()
    const [line] = parsed(narval('log', '--store', directory, '--json').stdout)
    expect(line!.batches).toHaveLength(20_000)
    expect(line!.batches[19_999]!.digest).toBe(base64(batchOf(1, 19_999).digest))
    expect(narval('log', '--store', directory).stdout.split('\n')).toHaveLength(20_002)
  })

  it('follows a node that runs, until it is interrupted', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    await written(store, ...turnOf(1, 3))
    const child = spawn(process.execPath, [
      NODE_FILE,
      'log',
      '--store',
      directory,
      '--json',
      '--follow',
      '--after',
      '2',
    ])
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
    await until('it has printed what was there', () => text.endsWith('\n'))
    await written(store, ...turnOf(4, 6))
    await until('it prints what comes', () => text.split('\n').length === 4)
    // The fifth has no batches.
    expect(parsed(text).map(({ commit }) => commit)).toEqual([3, 4, 6])
    child.kill('SIGINT')
    expect(await once(child, 'close')).toEqual([0, null])
    await store.close()
  })

  it('ends when nobody reads it any more', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 2_000)
    const { status, stdout, stderr } = spawnSync(
      '/bin/sh',
      ['-c', `"${process.execPath}" "${NODE_FILE}" log --store "${directory}" --follow | head -n 1`],
      { encoding: 'utf8', timeout: 30_000 },
    )
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^commit 1 [^\n]*\n$/)
  })

  it('of a store without commits is empty', async () => {
    const directory = temporaryDirectory()
    await (await openPrimaryStore(directory)).close()
    expect(narval('log', '--store', directory)).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  it.each([
    [['log']],
    [['log', '--store', 'x', '--after', '-1']],
    [['log', '--store', 'x', '--after', '1.5']],
    [['log', '--store', 'x', '--after', 'all']],
    [['log', '--store', 'x', '--limit', '0']],
    [['log', '--store', 'x', '--nonsense']],
    [['log', '--store', 'x', 'extra']],
  ])('a usage error is one line and exit code 2: %j', (args) => {
    expectError(narval(...args), 2, 'ERR_USAGE')
  })

  it('what cannot be read is one line and exit code 1', async () => {
    const empty = temporaryDirectory()
    expectError(narval('log', '--store', `${empty}/none`), 1, 'ERR_FILE_MISSING')
    expectError(narval('log', '--store', empty), 1, 'ERR_FILE_MISSING')
    const ofWorker = temporaryDirectory()
    await fillStore(ofWorker, [1])
    const result = narval('log', '--store', ofWorker)
    expectError(result, 1, 'ERR_STORE_FORMAT')
    expect(result.stderr).toContain('is the store of a worker: give the --store of a primary')
    const ofPrimary = temporaryDirectory()
    await fillLog(ofPrimary, 300, { retentionCommits: 100 })
    const pruned = narval('log', '--store', ofPrimary)
    expectError(pruned, 1, 'ERR_COMMITS_PRUNED')
    expect(pruned.stderr).toContain('no commits before 201 any more')
    expect(narval('log', '--store', ofPrimary, '--after', '200', '--limit', '1').stdout).toMatch(/^commit 201 /)
  })
})

describe('of a primary’s store', () => {
  it('`check` reads all of it, and names what is damaged', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 50)
    expect(narval('check', '--store', directory)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+ entries, \d+\.\d MiB read: all whole\n$/),
    })
    const { digest } = batchOf(12, 0)
    writeAt(directory, readFileSync(dataFile(directory)).indexOf(digest), new Uint8Array([digest[0]! ^ 1]))
    const { status, stdout } = narval('check', '--store', directory)
    expect(status).toBe(1)
    expect(stdout).toMatch(/^damaged {2}\(commit 12\) {2}[^\n]+\n\d+ entries, \d+\.\d MiB read: 1 damaged\n$/)
  })

  it('`batch` says whose store it is', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 1)
    expectError(narval('batch', '00'.repeat(32), '--store', directory), 1, 'ERR_STORE_FORMAT')
  })
})
