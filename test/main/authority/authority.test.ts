/** Authorities as a program has them: one process, one call, an ordered log. */

import { getEventListeners } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CommitCursor, OrderedCommit } from '../../../src/index.js'
import { COMMIT_READERS_MAX } from '../../../src/main/authority/limits.js'
import { narval, newMembers, optionsOf, read, start } from '../../support/authority-under-test.js'
import { isClosed } from '../../support/started-node.js'
import { fromDist } from '../../support/threads/main-side.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until, within } from '../../support/until.js'

const { AuthorityNode } = await fromDist<typeof import('../../../src/main/authority/authority-node.js')>(
  'main/authority/authority-node.js',
)
const { checkAuthorityOptions } = await fromDist<typeof import('../../../src/main/authority/authority-options.js')>(
  'main/authority/authority-options.js',
)

interface Terminable {
  terminate(): Promise<void>
}

const numbers = (transactions: Iterable<Uint8Array>): number[] => Array.from(transactions, numberOf)
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
const upTo = (end: number, from = 0): number[] => Array.from({ length: end - from }, (_, at) => from + at)

describe('one authority', () => {
  test('orders what is submitted and gives it back byte for byte, over workers, runs and cursors', async () => {
    const [member] = await newMembers(1, 2)
    let authority = await start(member!)
    for (const number of upTo(200)) await authority.submit(transactionOf(number, 100 + number))
    const first = await read(authority, 200)
    expect(sorted(numbers(first.transactions))).toEqual(upTo(200))
    expect(first.commits.every(({ batchCount }) => batchCount > 0)).toBe(true)
    const { commits: all } = await read(authority, 200, { empty: true })
    expect(all.map(({ index }) => index)).toEqual(upTo(all.length + 1, 1))
    const full = all.filter(({ batchCount }) => batchCount > 0)
    expect(full.map(({ index }) => index)).toEqual(first.commits.map(({ index }) => index))
    const workers = new Set<number>()
    for (const commit of first.commits) for await (const { workerId } of commit.batches()) workers.add(workerId)
    expect(sorted([...workers])).toEqual([0, 1])
    await authority.close()
    await expect(authority.submit(transactionOf(0, 100))).rejects.toMatchObject({ code: 'ERR_CLOSED' })

    authority = await start(member!)
    expect(member!.lines.filter((line) => /^(warn|error) (?!Node was started without)/.test(line))).toEqual([])
    const after = first.commits.at(-1)!.index
    for (const number of upTo(300, 200)) await authority.submit(transactionOf(number, 100))
    const second = await read(authority, 100, { after })
    expect(sorted(numbers(second.transactions))).toEqual(upTo(300, 200))
    const whole = await read(authority, 300)
    expect(numbers(whole.transactions)).toEqual(numbers([...first.transactions, ...second.transactions]))
  })

  test('begins behind any batch, and misses and repeats nothing', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!, { parameters: { maxBatchDelayMs: 1, batchBytesMax: 2_000 } })
    await Promise.all(upTo(60).map((number) => authority.submit(transactionOf(number, 900))))
    const all: { cursor: CommitCursor; numbers: number[] }[] = []
    for await (const commit of authority.commits()) {
      for await (const batch of commit.batches()) {
        all.push({ cursor: batch.cursor, numbers: numbers(batch.transactions()) })
        expect(batch.transactionCount).toBe(all.at(-1)!.numbers.length)
        expect(Buffer.from(batch.author).toString('base64')).toBe(member!.keys.name)
        expect((await authority.read(batch.digest))?.bytes).toEqual(batch.bytes)
      }
      if (all.flatMap((batch) => batch.numbers).length === 60) break
    }
    expect(Math.max(...all.map(({ cursor }) => cursor.position))).toBeGreaterThan(2)
    for (const [at, { cursor }] of all.entries()) {
      const rest = all.slice(at + 1).flatMap((batch) => batch.numbers)
      expect(numbers((await read(authority, rest.length, { after: cursor })).transactions)).toEqual(rest)
    }
    const [{ cursor }] = all as [(typeof all)[0]]
    const before = { commit: cursor.commit, position: -1 }
    expect(numbers((await read(authority, 60, { after: before })).transactions)).toHaveLength(60)
  })

  test('gives transactions one by one, too, and waits for those to come', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    const found: number[] = []
    const reading = (async () => {
      for await (const commit of authority.commits()) {
        for await (const transaction of commit.transactions()) found.push(numberOf(transaction))
        if (found.length === 3) return
      }
    })()
    for (const number of upTo(3)) {
      await authority.submit(transactionOf(number, 100))
      await until('it is read', () => found.length > number)
    }
    await within('the reader ends', reading)
    expect(found).toEqual([0, 1, 2])
  })
})

describe('readers', () => {
  test('end when the authority is closed, but not as if a commit were whole', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!, { parameters: { maxBatchDelayMs: 1, batchBytesMax: 2_000 } })
    await Promise.all(upTo(60).map((number) => authority.submit(transactionOf(number, 900))))
    let large: OrderedCommit | undefined
    for await (const commit of authority.commits()) {
      if (commit.batchCount < 2) continue
      large = commit
      break
    }
    const waiting = read(authority, 1, { after: Number.MAX_SAFE_INTEGER })
    const within_ = large!.batches()
    expect((await within_.next()).done).toBe(false)
    await authority.close()
    expect(await within('the reader at the end', waiting)).toEqual({ transactions: [], commits: [] })
    await expect(within_.next()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(large!.batches().next()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(() => large!.digest()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    await expect(authority.commits().next()).resolves.toEqual({ done: true, value: undefined })
  })

  test('are ended by their signal, with its reason', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    const controller = new AbortController()
    const waiting = read(authority, 1, { signal: controller.signal })
    await sleep(50)
    controller.abort(new Error('enough'))
    await expect(within('the reader', waiting)).rejects.toThrow('enough')
    await expect(read(authority, 1, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before')
  })

  test('leave nothing behind in the signals that outlive them', async () => {
    const [member] = await newMembers(1)
    const authority = await start(member!)
    for (const number of upTo(20)) await authority.submit(transactionOf(number, 100))
    const controller = new AbortController()
    await read(authority, 20, { signal: controller.signal })
    for await (const commit of authority.commits({ signal: controller.signal })) {
      for await (const _ of commit.batches()) break
      break
    }
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('are so many at most, and one that has left makes room', async () => {
    const warnings: string[] = []
    const onWarning = ({ message }: Error): void => void warnings.push(message)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const [member] = await newMembers(1)
    const authority = await start(member!)
    await authority.submit(transactionOf(1, 100))
    const readers = await Promise.all(
      upTo(COMMIT_READERS_MAX).map(async () => {
        const reader = authority.commits()
        await reader.next()
        return reader
      }),
    )
    await expect(authority.commits().next()).rejects.toMatchObject({ code: 'ERR_BUSY' })
    expect(await authority.metrics()).toMatch(
      /narval_refusals_total\{.*kind="reader",reason="too-many-readers".*\} 1\n/,
    )
    await readers[0]!.return()
    await expect(authority.commits().next()).resolves.toMatchObject({ done: false })
    expect(warnings).toEqual([])
  })

  test('wait for what is ordered and was lost here, until another authority has sent it', async () => {
    const members = await newMembers(4)
    const authorities = await Promise.all(members.map((member) => start(member)))
    await authorities[1]!.submit(transactionOf(7, 100))
    expect(numbers((await read(authorities[0]!, 1)).transactions)).toEqual([7])
    await authorities[0]!.close()
    rmSync(join(members[0]!.store, 'worker-0'), { recursive: true })
    const again = await start(members[0]!)
    expect(numbers((await within('it is fetched', read(again, 1))).transactions)).toEqual([7])
  })
})

describe('four authorities', () => {
  test('give the same commits, with the same transactions, each once', async () => {
    const members = await newMembers(4)
    const authorities = await Promise.all(members.map((member) => start(member)))
    await Promise.all(upTo(200).map((number) => authorities[number % 4]!.submit(transactionOf(number, 300))))
    const logs = await Promise.all(authorities.map((authority) => read(authority, 200)))
    expect(sorted(numbers(logs[0]!.transactions))).toEqual(upTo(200))
    for (const { commits, transactions } of logs) {
      expect(transactions).toEqual(logs[0]!.transactions)
      const shared = commits.slice(0, logs[0]!.commits.length)
      const records = shared.map((commit) => [commit.index, commit.timestamp, Buffer.from(commit.digest())])
      expect(records).toEqual(
        logs[0]!.commits
          .slice(0, shared.length)
          .map((commit) => [commit.index, commit.timestamp, Buffer.from(commit.digest())]),
      )
    }
    expect(authorities.flatMap((authority) => authority.health().problems)).toEqual([])
  })
})

describe('its end', () => {
  test('a part that fails ends all others, with its reason', async () => {
    const [member] = await newMembers(1, 2)
    const { primary, workers } = member!.committee.authority(0)
    const binds = {
      primary: '127.0.0.1',
      metrics: undefined,
      workers: new Map([...workers.keys()].map((id) => [id, '127.0.0.1'])),
    }
    const node = new AuthorityNode(checkAuthorityOptions(optionsOf(member!)), binds)
    await node.start()
    // What it is made of, from the outside.
    const { primary: part } = node as unknown as { primary: { threads: { running: Map<string, Terminable> } } }
    for (const number of upTo(50)) await node.submits.submit(transactionOf(number, 100))
    await part.threads.running.get('primary')!.terminate()
    await expect(within('it ends', node.stopped)).rejects.toMatchObject({
      code: 'ERR_THREAD_DIED',
      message: expect.stringContaining('the primary thread died'),
    })
    expect([node.health().ok, node.isAlive()]).toEqual([false, false])
    await expect(node.commits.read(undefined).next()).resolves.toMatchObject({ done: true })
    const ports = [
      primary.primaryToPrimary!.port,
      ...[...workers.values()].map((worker) => worker.workerToWorker!.port),
    ]
    for (const port of ports) await until(`port ${port} is closed`, () => isClosed(port))
    await start(member!)
  })

  test('a signal ends it while it starts, wherever it is', async () => {
    const [member] = await newMembers(1)
    for (const delayMs of [0, 5, 20, 50, 100, 200, 400]) {
      const controller = new AbortController()
      const starting = narval.startAuthority(optionsOf(member!, { signal: controller.signal }))
      const ended = starting.then(
        (authority) => authority.stopped,
        (error: { code?: string }) => expect(error.code).toBe('ERR_CLOSED'),
      )
      await sleep(delayMs)
      controller.abort()
      await within(`it ends when it is closed after ${delayMs} ms`, ended)
    }
    const authority = await start(member!)
    await authority.submit(transactionOf(1, 100))
    expect((await read(authority, 1)).transactions).toHaveLength(1)
  })

  test('a part that cannot start leaves nothing running', async () => {
    const [member] = await newMembers(1, 2)
    const { primary, workers } = member!.committee.authority(0)
    const { port } = workers.get(1)!.workerToWorker!
    const blocker = createServer()
    await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    await expect(narval.startAuthority(optionsOf(member!))).rejects.toMatchObject({ code: 'ERR_ADDRESS_IN_USE' })
    expect(await isClosed(primary.primaryToPrimary!.port)).toBe(true)
    expect(await isClosed(workers.get(0)!.workerToWorker!.port)).toBe(true)
    await new Promise<void>((resolve) => blocker.close(() => resolve()))
    await start(member!)
    await expect(narval.startAuthority(optionsOf(member!))).rejects.toMatchObject({ code: 'ERR_STORE_LOCKED' })
  })
})
