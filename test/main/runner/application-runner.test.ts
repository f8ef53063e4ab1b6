/** An application on the order of one authority: what it is handed, what it may do wrong, and what is said of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Application, Authority, OrderedCommit, RunOptions } from '../../../src/index.js'
import { newMembers, read, start } from '../../support/authority-under-test.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until, within } from '../../support/until.js'

const upTo = (end: number, from = 0): number[] => Array.from({ length: end - from }, (_, at) => from + at)
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
const anything = (value: unknown): never => value as never

/** Keeps what it was handed, in memory. */
class Recorder implements Application {
  readonly indices: number[] = []
  readonly numbers: number[] = []
  readonly last: number

  constructor(last = 0) {
    this.last = last
  }

  lastApplied(): number {
    return this.indices.at(-1) ?? this.last
  }

  async apply(commit: OrderedCommit): Promise<void> {
    for await (const transaction of commit.transactions()) this.numbers.push(numberOf(transaction))
    this.indices.push(commit.index)
  }
}

async function metric(authority: Authority, name: string): Promise<number | undefined> {
  const found = new RegExp(`^${name} (.*)$`, 'm').exec(await authority.metrics())
  return found === null ? undefined : Number(found[1])
}

/** Runs it until it has so many transactions, and is ended by its signal. */
async function runUntil(authority: Authority, app: Recorder, count: number, options: RunOptions = {}): Promise<void> {
  const controller = new AbortController()
  const running = authority.run(app, { ...options, signal: controller.signal })
  await until('it has all', () => app.numbers.length >= count)
  controller.abort(new Error('enough'))
  await expect(within('the run', running)).rejects.toThrow('enough')
}

describe('an application', () => {
  test('gets every commit once, without gaps, and goes on behind its last one after a restart', async () => {
    const [member] = await newMembers(1)
    let authority = await start(member!)
    expect(await metric(authority, 'narval_application_running')).toBeUndefined()
    for (const number of upTo(100)) await authority.submit(transactionOf(number, 100))
    const first = new Recorder()
    const running = authority.run(first)
    await expect(authority.run(new Recorder())).rejects.toMatchObject({ code: 'ERR_BUSY' })
    await until('it has all', () => first.numbers.length === 100)
    expect(await metric(authority, 'narval_application_running')).toBe(1)
    expect(authority.health()).toMatchObject({ ok: true, problems: [] })
    await authority.close()
    await within('the run', running)
    await expect(authority.run(first)).rejects.toMatchObject({ code: 'ERR_CLOSED' })

    authority = await start(member!)
    const last = first.lastApplied()
    const second = new Recorder(last)
    for (const number of upTo(150, 100)) await authority.submit(transactionOf(number, 100))
    await runUntil(authority, second, 50)
    const indices = [...first.indices, ...second.indices]
    expect(indices).toEqual(upTo(indices.length + 1, 1))
    const { transactions } = await read(authority, 150)
    expect([...first.numbers, ...second.numbers]).toEqual(transactions.map(numberOf))
    expect(await metric(authority, 'narval_application_applied_commit')).toBe(second.indices.at(-1))
    expect(await metric(authority, 'narval_application_commits_total')).toBe(second.indices.length)
  })

  test('that throws is stopped where it is, health says so, the order goes on, and it may be run again', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    await authority.submit(transactionOf(1, 100))
    const app = new Recorder()
    let isBroken = true
    const broken: Application = {
      lastApplied: () => app.lastApplied(),
      apply: async (commit) => {
        if (isBroken && commit.batchCount > 0) throw new Error('no such account')
        await app.apply(commit)
      },
    }
    const failed = await authority.run(broken).catch((error: unknown) => error)
    expect(failed).toMatchObject({
      code: 'ERR_APPLICATION_FAILED',
      message: expect.stringMatching(/failed in commit \d+: no such account/),
      cause: expect.objectContaining({ message: 'no such account' }),
    })
    expect(authority.health()).toMatchObject({
      ok: false,
      problems: [expect.stringMatching(/the application is stopped.*no such account/)],
    })
    expect(member!.lines.some((line) => /^error .*no such account.*the order goes on/.test(line))).toBe(true)
    expect(await metric(authority, 'narval_application_running')).toBe(0)
    await authority.submit(transactionOf(2, 100))
    expect(sorted((await read(authority, 2)).transactions.map(numberOf))).toEqual([1, 2])
    expect(await metric(authority, 'narval_application_lag_commits')).toBeGreaterThan(0)

    isBroken = false
    void authority.run(broken)
    await until('it has both', () => app.numbers.length === 2)
    expect(app.indices).toEqual(upTo(app.indices.length + 1, 1))
    expect(authority.health()).toMatchObject({ ok: true, problems: [] })
  })

  test('that hangs holds neither the order nor, for long, the end', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    let commits = 0
    const running = authority.run({
      lastApplied: () => 0,
      apply: () => {
        commits += 1
        return new Promise(() => {})
      },
    })
    running.catch(() => {})
    for (const number of upTo(20)) await authority.submit(transactionOf(number, 100))
    expect((await read(authority, 20)).transactions).toHaveLength(20)
    expect(commits).toBe(1)
    const beganMs = performance.now()
    await authority.close()
    expect(performance.now() - beganMs).toBeLessThan(10_000)
  })

  test('is not shown repeats, if it is asked for, whatever of a commit it reads, and over restarts', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    const options = { dropDuplicates: { commits: 1_000 } }
    const app = new Recorder()
    // Those of the first commit with any are left unread: they count all the same.
    let isSkipping = true
    const skips: Application = {
      lastApplied: () => app.lastApplied(),
      apply: async (commit) => {
        if (commit.batchCount > 0 && isSkipping) {
          isSkipping = false
          app.indices.push(commit.index)
          return
        }
        await app.apply(commit)
        await expect(commit.batches().next()).rejects.toMatchObject({ code: 'ERR_USAGE' })
      },
    }
    const controller = new AbortController()
    const running = authority.run(skips, { ...options, signal: controller.signal })
    await authority.submit(transactionOf(1, 100))
    await until('the first is there', () => !isSkipping)
    for (const number of [1, 2, 2, 3, 1, 3, 4]) await authority.submit(transactionOf(number, 100))
    await until('it has the others', () => app.numbers.length >= 3)
    await until(
      'the others are dropped',
      async () => (await metric(authority, 'narval_application_duplicates_total')) === 4,
    )
    expect(sorted(app.numbers)).toEqual([2, 3, 4])
    controller.abort()
    await running.catch(() => {})
    await Promise.all([4, 3, 5].map((number) => authority.submit(transactionOf(number, 100))))
    const before = app.numbers.length
    await runUntil(authority, app, before + 1, options)
    expect(app.numbers.slice(before)).toEqual([5])
  })

  test('refuses what is submitted here, by a reason or a throw, while it runs', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    const app = Object.assign(new Recorder(), {
      check: (transaction: Uint8Array): string | undefined => {
        const number = numberOf(transaction)
        if (number === 3) throw new Error('three')
        return number % 2 === 0 ? undefined : 'it is odd'
      },
    })
    await authority.submit(transactionOf(1, 100))
    const controller = new AbortController()
    const running = authority.run(app, { signal: controller.signal })
    const refused = (message: string): object => ({
      code: 'ERR_TRANSACTION_REFUSED',
      message: expect.stringContaining(message),
    })
    await authority.submit(transactionOf(2, 100))
    await expect(authority.submit(transactionOf(5, 100))).rejects.toMatchObject(refused('it is odd'))
    await expect(authority.submit(transactionOf(3, 100))).rejects.toMatchObject(refused('three'))
    await expect(authority.submit(anything('text'))).rejects.toThrow(/^transaction: expected a Uint8Array/)
    expect(await metric(authority, 'narval_application_refused_total')).toBe(2)
    await until('it has two', () => app.numbers.length === 2)
    controller.abort()
    await running.catch(() => {})
    await authority.submit(transactionOf(5, 100))
  })

  test('is checked at the door', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    const app = new Recorder()
    const wrong: readonly [unknown, unknown, RegExp][] = [
      [undefined, undefined, /^app: expected an application/],
      [{ lastApplied: () => 0 }, undefined, /^app.apply: expected a function/],
      [{ ...app, lastApplied: 5, apply() {} }, undefined, /^app.lastApplied: expected a function/],
      [{ lastApplied() {}, apply() {}, check: true }, undefined, /^app.check: expected a function/],
      [app, { after: 1 }, /^options: unknown "after"/],
      [app, { signal: 'now' }, /^signal: expected an AbortSignal/],
      [app, { dropDuplicates: true }, /^dropDuplicates: expected/],
      [app, { dropDuplicates: { commits: 0 } }, /^dropDuplicates.commits: expected an integer from 1/],
      [app, { dropDuplicates: { commits: 1, transactions: 1e9 } }, /^dropDuplicates.transactions: expected/],
      [{ lastApplied: () => undefined, apply() {} }, undefined, /^what app.lastApplied returns: expected an integer/],
      [{ lastApplied: () => Promise.reject(new Error('locked')), apply() {} }, undefined, /^locked/],
    ]
    for (const [value, options, message] of wrong) {
      await expect(authority.run(anything(value), anything(options))).rejects.toThrow(message)
    }
    // One that is ahead of the log waits for it, and says so.
    const controller = new AbortController()
    const running = authority.run(new Recorder(1_000_000), { signal: controller.signal })
    running.catch(() => {})
    await sleep(20)
    expect(authority.health()).toMatchObject({ problems: [expect.stringMatching(/has commit 1000000, and the log/)] })
    controller.abort()
  })
})
