/** kill -9 of a process that writes turns, at random moments; and a disk that fails a flush. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { FLUSH_FAILURE_FILE } from '../../../../src/shared/store/flush-failure.js'
import { CommitLogReader } from '../../../../src/shared/store/primary/commit-log-reader.js'
import { followCommits } from '../../../../src/shared/store/primary/follow-commits.js'
import { decodeVote } from '../../../../src/shared/wire/primary/vote.js'
import { environmentOf } from '../../../support/preload.js'
import { certificateOf, openPrimaryStore } from '../../../support/primary-stores.js'
import { seeded } from '../../../support/random.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { AUTHORITIES, batchOf } from '../../../support/threads/commit-pattern.mjs'
import { until } from '../../../support/until.js'

const WRITER = fileURLToPath(new URL('../../../support/threads/commit-writer.mjs', import.meta.url))
const ROUNDS = 10
const RETENTION = 1_000

class Writer {
  readonly lines: string[] = []
  private readonly process: ChildProcess
  private readonly ended: Promise<unknown>

  constructor(directory: string, environment: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [WRITER, JSON.stringify({ directory, retentionCommits: RETENTION })], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    })
    let rest = ''
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop()!
      this.lines.push(...lines)
    })
    this.ended = new Promise((resolve) => this.process.on('close', resolve))
    onTestFinished(() => void this.process.kill('SIGKILL'))
  }

  /** The last commit that the primary would have told somebody of. */
  get durable(): number {
    const last = this.lines.filter((line) => line.startsWith('durable ')).at(-1)
    return last === undefined ? 0 : Number(last.slice('durable '.length))
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.ended
  }
}

/** A commit as it has to be: its batches follow from its index; of those that begin a turn, now and then there are many. */
function checkCommit(commit: { index: number; batches(): Iterable<{ digest: Uint8Array; position: number }> }): void {
  let count = 0
  for (const { digest, position } of commit.batches()) {
    if (position !== count) throw new Error(`position ${position} where ${count} is the next`)
    if (count < 5) expect(digest).toEqual(batchOf(commit.index, position).digest)
    count += 1
  }
  expect([commit.index % 5, 3_000]).toContain(count)
}

describe('kill -9', () => {
  test('at any moment leaves what was told, in whole turns, and a reader misses nothing and repeats nothing', async () => {
    const random = seeded(1)
    const directory = temporaryDirectory()
    /** The last commit that a reader beside the node has taken: its cursor. */
    let taken = 0
    let beyond = 0
    // Until one of them was between a flush and its word.
    for (let round = 0; round < ROUNDS || (beyond === 0 && round < 5 * ROUNDS); round += 1) {
      const writer = new Writer(directory)
      await until('it writes', () => writer.durable > 0)
      const stop = new AbortController()
      const reader = new CommitLogReader(directory)
      const reading = (async () => {
        for await (const commit of followCommits(reader, taken, { signal: stop.signal })) {
          if (commit.index !== taken + 1) throw new Error(`commit ${commit.index} behind ${taken}`)
          checkCommit(commit)
          taken = commit.index
        }
      })()
      await new Promise((resolve) => setTimeout(resolve, random() * 250))
      await writer.kill()
      stop.abort()
      await reading
      reader.close()

      const told = writer.durable
      const store = await openPrimaryStore(directory, { retentionCommits: RETENTION })
      const state = store.state()
      const last = store.lastCommit
      expect(last).toBeGreaterThanOrEqual(told)
      expect(last).toBeGreaterThanOrEqual(taken)
      if (last > told) beyond += 1
      // All of a turn, or none of it: header, votes, certificate, consensus and log say the same.
      expect(Buffer.from(state.ownHeader!).toString()).toBe(`header of ${last}`)
      expect(state.consensus).toMatchObject({ index: last })
      expect(state.certificates.at(-1)).toEqual(certificateOf(last).bytes)
      const voted = state.votes.map((vote) => decodeVote(vote, AUTHORITIES).round)
      expect(Math.max(...voted)).toBe(last)
      expect(state.ownBatches.at(-1)).toEqual(batchOf(last, 0))
      await store.close()
    }
    expect(beyond).toBeGreaterThan(0)
    const damaged: string[] = []
    checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
    expect(damaged).toEqual([])
  }, 240_000)
})

describe('a disk that fails a flush', () => {
  test('ends it: nothing is told any more, and the next start copies the store first', async (context) => {
    const broken = join(temporaryDirectory(), 'the-disk-is-broken')
    const environment = environmentOf({ flush: broken })
    if ('reason' in environment) return context.skip(String(environment.reason))
    const directory = temporaryDirectory()
    const writer = new Writer(directory, environment as Record<string, string>)
    await until('it writes', () => writer.durable > 10)
    writeFileSync(broken, '')
    const record = join(directory, FLUSH_FAILURE_FILE)
    await until('the failure is written down', () => existsSync(record), 90_000)
    await until('it ends', () => writer.lines.some((line) => line.startsWith('died ')))
    const told = writer.durable
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(writer.durable).toBe(told)
    // What is committed and not flushed is not shown to anybody: a power cut would undo it.
    const reader = new CommitLogReader(directory)
    expect(reader.bounds().last).toBe(told)
    expect([...reader.commits(told)]).toEqual([])
    reader.close()
    await writer.kill()
    rmSync(broken)
    const notices: string[] = []
    const store = await openPrimaryStore(directory, {}, { onNotice: (text) => notices.push(text) })
    expect(notices.join('\n')).toMatch(/copying the store to a new file[\s\S]*Read \d+ entries: 0 are damaged/)
    expect(store.lastCommit).toBeGreaterThanOrEqual(told)
    expect(existsSync(record)).toBe(false)
    await store.close()
  }, 120_000)
})
