/** What callers hand to startAuthority, commits and markFresh: each is checked at the door, by name. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AuthorityOptions } from '../../../src/index.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { committeeFileOf } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { narval, newMembers, optionsOf, read, start } from '../../support/authority-under-test.js'
import { silent } from '../../support/started-node.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const anything = (value: unknown): never => value as never

describe('startAuthority', () => {
  const wrong: readonly [string, Partial<Record<keyof AuthorityOptions | 'rules', unknown>>, string][] = [
    ['a rule that there is not', { rule: 'bullshark' }, "RangeError: rule: expected one of 'shoal', 'tusk'"],
    ['a rule that is no text', { rule: 1 }, "TypeError: rule: expected 'shoal', 'tusk'"],
    ['recovered that is no boolean', { recovered: 'yes' }, 'TypeError: recovered: expected a boolean'],
    ['a misspelt option', { rules: 'shoal' }, 'TypeError: options: unknown "rules"; there is keys, committee'],
    ['a path that is none', { store: 5 }, 'TypeError: store: expected a string'],
    ['an address that is none', { bind: 'a b' }, 'RangeError: bind: expected'],
    ['metrics without a port', { metrics: { host: '127.0.0.1' } }, 'TypeError: metrics.port: expected an integer'],
    ['a signal that is none', { signal: {} }, 'TypeError: signal: expected an AbortSignal'],
    ['parameters that there are not', { parameters: { retention: 5 } }, 'NarvalError: .*parameters: .*retention'],
    [
      'a gc_depth with which nothing is ordered',
      { parameters: { gcDepthRounds: 10 } },
      'NarvalError: .*gc_depth.* 11 at least',
    ],
    ['a logger that lacks a level', { log: { info() {} } }, 'TypeError: log.error: expected a function'],
  ]
  test.each(wrong)('refuses %s, and touches nothing', async (_, options, message) => {
    const [member] = await newMembers(1)
    const store = join(temporaryDirectory(), 'store')
    const error: unknown = await narval
      .startAuthority(anything({ ...optionsOf(member!), store, ...options }))
      .catch((thrown: unknown) => thrown)
    expect(`${(error as Error).name}: ${(error as Error).message}`).toMatch(new RegExp(`^${message}`))
    expect(existsSync(store)).toBe(false)
  })

  test('refuses keys outside the committee, and a committee with workers that we do not have', async () => {
    const [member, other] = await newMembers(2)
    const refused = (options: Partial<AuthorityOptions>): Promise<unknown> =>
      narval.startAuthority(optionsOf(member!, options)).catch((error: unknown) => error)
    expect(await refused({ keys: generateKeys() })).toMatchObject({ code: 'ERR_NOT_IN_COMMITTEE' })
    const file = structuredClone(committeeFileOf(member!.committee)) as {
      authorities: Record<string, { workers: Record<string, object> }>
    }
    const { workers } = file.authorities[other!.keys.name]!
    workers['3'] = workers['0']!
    delete workers['0']
    expect(await refused({ committee: parseCommittee(file) })).toMatchObject({
      code: 'ERR_NOT_IN_COMMITTEE',
      message: expect.stringMatching(/has a worker 3, and we have the workers 0/),
    })
  })

  test('refuses the directory of a single store, and a worker that of an authority', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    await authority.close()
    const { committee, keys, store } = member!
    for (const part of ['primary', 'worker-0']) {
      const within = join(store, part)
      await expect(narval.startAuthority(optionsOf(member!, { store: within }))).rejects.toMatchObject({
        code: 'ERR_STORE_FOREIGN',
        message: expect.stringContaining(within),
      })
      expect(() => narval.markFresh(within, keys)).toThrow(expect.objectContaining({ code: 'ERR_STORE_FOREIGN' }))
      expect(existsSync(join(within, 'primary'))).toBe(false)
    }
    await expect(narval.startWorker({ committee, keys, store, log: silent })).rejects.toMatchObject({
      code: 'ERR_STORE_FOREIGN',
      message: expect.stringContaining('is the store of an authority'),
    })
    expect(existsSync(join(store, 'data.mdb'))).toBe(false)
  })

  test('refuses a store whose directory cannot be made', async () => {
    const [member] = await newMembers(1)
    const store = join(temporaryDirectory(), 'no', 'such')
    await expect(narval.startAuthority(optionsOf(member!, { store }))).rejects.toMatchObject({
      code: 'ERR_STORE_WRITE',
      message: expect.stringContaining(store),
    })
  })
})

describe('commits', () => {
  test('refuses options that cannot be used, at once', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    const errors = [
      [5, /^options: expected/],
      [{ from: 1 }, /^options: unknown "from"/],
      [{ after: -1 }, /^after: expected an integer/],
      [{ after: 1n }, /^after: expected the index of a commit/],
      [{ after: { commit: 1 } }, /^after.position: expected an integer/],
      [{ after: { commit: 0, position: 0 } }, /^after.commit: expected an integer/],
      [{ after: { commit: 1, position: 0.5 } }, /^after.position: expected an integer/],
      [{ after: { commit: 1, position: 0, batch: 1 } }, /^after: unknown "batch"/],
      [{ signal: 'stop' }, /^signal: expected an AbortSignal/],
      [{ empty: 1 }, /^empty: expected/],
    ] as const
    for (const [options, message] of errors) expect(() => authority.commits(anything(options))).toThrow(message)
    await expect(authority.submit(anything('text'))).rejects.toThrow(/^transaction: expected a Uint8Array/)
    await expect(authority.submit(new Uint8Array())).rejects.toMatchObject({ code: 'ERR_TRANSACTION_EMPTY' })
    await expect(authority.read(new Uint8Array(31))).rejects.toThrow(/^digest: expected 32 bytes/)
    await authority.submit(transactionOf(1, 100))
    expect((await read(authority, 1)).transactions.map(numberOf)).toEqual([1])
  })
})

describe('a new authority', () => {
  test('without the mark is refused if the others have no quorum, says what to do, and signs once it is marked', async () => {
    const [member] = await newMembers(1)
    const unmarked = { ...member!, store: join(temporaryDirectory(), 'store') }
    for (const _ of [1, 2]) {
      await expect(start(unmarked)).rejects.toMatchObject({
        code: 'ERR_RECOVERY_IMPOSSIBLE',
        message: expect.stringContaining('the command `fresh`'),
      })
    }
    narval.markFresh(unmarked.store, unmarked.keys)
    narval.markFresh(unmarked.store, unmarked.keys)
    const again = await start(unmarked)
    expect(() => narval.markFresh(unmarked.store, unmarked.keys)).toThrow(
      expect.objectContaining({ code: 'ERR_STORE_LOCKED' }),
    )
    await again.submit(transactionOf(1, 100))
    expect((await read(again, 1)).transactions.map(numberOf)).toEqual([1])
  })

  test('without the mark in a committee of such says for whom it waits, and what it may sign; marked, all go on', async () => {
    const members = (await newMembers(4)).map((member) => ({ ...member, store: join(temporaryDirectory(), 'store') }))
    const authorities = [await start(members[0]!)]
    await until('it says so', () =>
      members[0]!.lines.some((line) =>
        /^warn primary: Recovering: waits .* stake 3, has 0\. .*narval fresh/.test(line),
      ),
    )
    expect(authorities[0]!.health()).toMatchObject({ ok: false, primary: { ok: false, signing: false } })
    expect(authorities[0]!.health().problems.join()).toContain('3 of 3')
    authorities.push(...(await Promise.all(members.slice(1).map((member) => start(member)))))
    for (const { lines } of members) {
      await until('all have answered', () =>
        lines.includes('info primary: A quorum has answered: may sign above round 2'),
      )
    }
    await Promise.all(authorities.map((authority) => authority.close()))
    for (const { keys, store } of members) narval.markFresh(store, keys)
    const [first] = await Promise.all(members.map((member) => start(member)))
    await first!.submit(transactionOf(1, 100))
    expect((await read(first!, 1)).transactions.map(numberOf)).toEqual([1])
  })

  test('is not marked when its store has been used, or is another one’s', async () => {
    const [member, other] = await newMembers(2)
    expect(() => narval.markFresh(member!.store, other!.keys)).toThrow(
      expect.objectContaining({ code: 'ERR_STORE_FOREIGN' }),
    )
    const [alone] = await newMembers(1)
    const authority = await start(alone!)
    await authority.submit(transactionOf(1, 100))
    await read(authority, 1)
    await authority.close()
    expect(() => narval.markFresh(alone!.store, alone!.keys)).toThrow(
      expect.objectContaining({ code: 'ERR_STORE_USED' }),
    )
    expect(() => narval.markFresh(anything(5), alone!.keys)).toThrow(/^store: expected a string/)
    expect(() => narval.markFresh(alone!.store, anything({}))).toThrow(/^keys.publicKey: /)
  })

  test('that lost its store waits for the others, and goes on with them', async () => {
    const members = await newMembers(4)
    const authorities = await Promise.all(members.slice(1).map((member) => start(member)))
    await authorities[0]!.submit(transactionOf(1, 100))
    await read(authorities[0]!, 1)
    const lost = { ...members[0]!, store: join(temporaryDirectory(), 'store') }
    const authority = await start(lost)
    await until('a quorum has answered', () => lost.lines.some((line) => line.includes('A quorum has answered')))
    await authority.submit(transactionOf(2, 100))
    expect((await read(authority, 2)).transactions.map(numberOf)).toEqual([1, 2])
  })
})

test('a local committee is refused with what is wrong in it', () => {
  const { name } = generateKeys()
  const errors = [
    [['no key'], /^NarvalError: localCommittee: authorities."no key": expected a public key/],
    [name, /^TypeError: names: expected an array/],
    [[name, 5], /^TypeError: names\[1\]: expected a string/],
    [[], /^NarvalError: localCommittee: authorities: expected at least one/],
  ] as const
  for (const [names, message] of errors) {
    const thrown = errorOf(() => narval.localCommittee(anything(names))) as Error
    expect(`${thrown.name}: ${thrown.message}`).toMatch(message)
  }
  expect(() => narval.localCommittee([name], 0)).toThrow(/^workers: expected an integer from 1/)
  expect(() => narval.localCommittee([name], 1, 65_532)).toThrow(/^portFirst: expected an integer from 1 to 65531/)
  expect(narval.localCommittee([name], 1, 65_531).worker(0, 0).workerToWorker.port).toBe(65_535)
})

test('a marked directory that is no directory is refused', () => {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'store'))
  writeFileSync(join(directory, 'store', 'primary'), '')
  expect(() => narval.markFresh(join(directory, 'store'), generateKeys())).toThrow(
    expect.objectContaining({ code: 'ERR_STORE_WRITE' }),
  )
})

function errorOf(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    return error
  }
}
