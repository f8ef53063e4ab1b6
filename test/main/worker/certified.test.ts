/** Readers of certified batches that begin in the past, with real workers from the files that are published. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CertifiedBatch, CertifiedOptions, Logger, Worker, WorkerOptions } from '../../../src/index.js'
import { CERTIFIED_READERS_MAX } from '../../../src/main/worker/limits.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import type { Parameters } from '../../../src/shared/config/parameters.js'
import { freePorts } from '../../support/free-ports.js'
import { readStore } from '../../support/stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'
import { WorkerUnderTest } from '../../support/worker-under-test.js'

const { startWorker } = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as typeof import('../../../src/index.js')

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
const SEED = 9

/** A worker that is its whole committee, and can be started again on the same store. */
async function alone(parameters: Partial<Parameters> = {}) {
  const keys = keysOf(new Uint8Array(32).fill(SEED))
  const file = localCommittee([keys.name], 1, await freePorts(5))
  const store = join(temporaryDirectory(), 'store')
  const start = async (options: Partial<WorkerOptions> = {}): Promise<Worker> => {
    const worker = await startWorker({
      keys,
      committee: parseCommittee(file, 'test'),
      store,
      parameters: { ackLevel: 'stored', maxBatchDelayMs: 5, ...parameters },
      log: silent,
      primary: () => {},
      poisonFreedSlots: true,
      ...options,
    })
    onTestFinished(() => worker.close())
    return worker
  }
  return { file, keys, start, store }
}

/** Reads on until it is ended. */
function follow(worker: Worker, options: CertifiedOptions) {
  const batches: CertifiedBatch[] = []
  const reader = worker.certified(options)
  const over = (async () => {
    for await (const batch of reader) batches.push(batch)
  })()
  over.catch(() => {})
  return { batches, over, reader }
}

/** Has a batch made for each transaction. */
async function makeBatches(worker: Worker, count: number): Promise<CertifiedBatch[]> {
  const made: CertifiedBatch[] = []
  const reader = worker.certified[Symbol.asyncIterator]()
  for (let n = 0; n < count; n += 1) {
    const next = reader.next()
    await worker.submit(Uint8Array.from({ length: 40 + n }, () => n))
    made.push((await next).value as CertifiedBatch)
  }
  await reader.return!()
  return made
}

const sequencesOf = (batches: readonly { sequence: bigint }[]): bigint[] => batches.map(({ sequence }) => sequence)
const came = (batches: readonly unknown[], count: number): Promise<void> =>
  until(
    () => `${count} batches (${batches.length} came)`,
    () => batches.length >= count,
  )

describe('certified({ after })', () => {
  test('begins in the past while batches flow: readers at several places get each once, in order, with all that is known', async () => {
    const { keys, start } = await alone()
    const worker = await start()
    const past = await makeBatches(worker, 20)
    const making = makeBatches(worker, 30)
    const all = follow(worker, { after: 0n })
    const some = follow(worker, { after: past[14]!.sequence })
    await came(all.batches, 25)
    const late = follow(worker, { after: past[9]!.sequence })
    const made = [...past, ...(await making)]
    await came(all.batches, 50)
    await came(some.batches, 35)
    await came(late.batches, 40)
    expect(all.batches).toEqual(made)
    expect(some.batches).toEqual(made.slice(15))
    expect(late.batches).toEqual(made.slice(10))
    expect(Buffer.from(made[0]!.author)).toEqual(Buffer.from(keys.publicKey))
    expect(made[3]).toMatchObject({ transactions: 1, transactionBytes: 43 })
    expect((await worker.read(made[0]!.digest))?.author).toEqual(made[0]!.author)
  })

  test('goes on after a restart where it was, also with batches that the primary had not acknowledged', async () => {
    const { start } = await alone()
    const first = await start({ primary: ({ digest }) => (digest[0]! % 2 === 0 ? undefined : new Promise(() => {})) })
    const before = await makeBatches(first, 12)
    const reader = first.certified({ after: 0n })
    for (let n = 0; n < 5; n += 1) expect((await reader.next()).value).toEqual(before[n])
    await first.close()
    const second = await start()
    const resumed = follow(second, { after: before[4]!.sequence })
    const again = follow(second, { after: 0n })
    // Those that were not acknowledged are certified once more, and shown to those who read as it happens.
    await came(again.batches, 12)
    const after = await makeBatches(second, 3)
    await came(resumed.batches, 10)
    await came(again.batches, 15)
    expect(resumed.batches.slice(0, 7)).toEqual(before.slice(5))
    expect(sequencesOf(resumed.batches)).toEqual(sequencesOf([...before.slice(5), ...after]).sort(ascending))
    expect(sequencesOf(again.batches)).toEqual(sequencesOf([...before, ...after]).sort(ascending))
    await second.close()
    await Promise.all([resumed.over, again.over])
  })

  test('misses and repeats nothing over kill -9, with the last sequence alone to remember', async () => {
    const { file, keys, store } = await alone()
    const seen: bigint[] = []
    for (let run = 0; run < 4; run += 1) {
      const task = { after: String(seen.at(-1) ?? 0n), committee: file, directory: store, seed: SEED }
      const script = new URL('../../support/certified-process.mjs', import.meta.url).pathname
      const child = spawn(process.execPath, [script, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      let output = ''
      child.stdout.on('data', (data: Buffer) => {
        output += data
      })
      const closed = once(child, 'close')
      await until('batches of the process', () => output.split('\n').length > 30)
      await sleep(run * 70)
      child.kill('SIGKILL')
      await closed
      seen.push(...output.split('\n').slice(0, -1).map(BigInt))
    }
    expect(seen).toEqual([...new Set(seen)].sort(ascending))
    const stored = [...(await readStore(store)).values()].filter(({ author }) => author === keys.name)
    const upToLast = sequencesOf(stored).filter((sequence) => sequence <= seen.at(-1)!)
    expect(seen).toEqual(upToLast.sort(ascending))
  })

  test('says what was deleted, by an error or by going on with what is left', async () => {
    const { start } = await alone({ gcDepthRounds: 1, retentionRounds: 2 })
    const worker = await start()
    const old = await makeBatches(worker, 4)
    // A batch is deleted only once it is marked as reported, with the next tick.
    let round = 0n
    await until('the first batches are deleted', async () => {
      round += 1n
      worker.toWorker({ type: 'Cleanup', round })
      await sleep(300)
      return (await worker.read(old[0]!.digest)) === undefined && (await worker.read(old[3]!.digest)) === undefined
    })
    const kept = await makeBatches(worker, 3)
    const reading = follow(worker, { after: 0n })
    const deletedThrough = old[3]!.sequence
    await expect(reading.over).rejects.toMatchObject({ code: 'ERR_BATCHES_DELETED', deletedThrough })
    const left = follow(worker, { after: 0n, skipDeleted: true })
    const on = follow(worker, { after: deletedThrough })
    await came(left.batches, 3)
    await came(on.batches, 3)
    expect([left.batches, on.batches]).toEqual([kept, kept])
  })

  test('holds a batch back while one with a lower sequence has no quorum', async () => {
    const under = await WorkerUnderTest.start()
    onTestFinished(() => under.close())
    const peers = await under.honest(1, 2)
    const withheld: (() => void)[] = []
    const acknowledgeLater = new Set<bigint>()
    for (const peer of peers) {
      peer.behaviour.onBatch = (batch) => {
        if (peer.batches.length === 1) acknowledgeLater.add(batch.sequence)
        if (acknowledgeLater.has(batch.sequence)) withheld.push(() => void peer.acknowledge(batch))
        else void peer.acknowledge(batch)
      }
    }
    const reading = follow(under.worker, { after: 0n })
    await under.worker.submit(new Uint8Array(64).fill(1))
    await peers[0]!.batchesCame(1)
    await peers[1]!.batchesCame(1)
    // Certified, and shown to those who read as it happens.
    await under.certifiesOne()
    await sleep(100)
    expect(reading.batches).toEqual([])
    for (const acknowledge of withheld) acknowledge()
    await came(reading.batches, 2)
    await came(under.certified, 2)
    expect(sequencesOf(reading.batches)).toEqual(sequencesOf(under.certified).reverse())
  })

  test('ends by return and by a signal, and leaves the worker as it was', async () => {
    const { start } = await alone()
    const worker = await start()
    const abandoned = follow(worker, { after: 0n })
    const ending = new AbortController()
    const signalled = follow(worker, { after: 0n, signal: ending.signal })
    await makeBatches(worker, 2)
    await came(signalled.batches, 2)
    await abandoned.reader.return!()
    ending.abort()
    await abandoned.over
    await expect(signalled.over).rejects.toMatchObject({ name: 'AbortError' })
    const more = follow(worker, { after: abandoned.batches.at(-1)!.sequence })
    await makeBatches(worker, 1)
    await came(more.batches, 1)
    expect(abandoned.batches.length).toBe(2)
  })

  test('refuses what it cannot use, with the name of the argument', async () => {
    const { start } = await alone()
    const worker = await start()
    const certified = worker.certified as unknown as (options?: unknown) => unknown
    for (const after of [-1, Number.NaN, 2 ** 60, 0, '5', null, undefined, {}, new Uint8Array(8)]) {
      expect(() => certified({ after })).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(/^after: /) }),
      )
    }
    for (const after of [-1n, 2n ** 64n]) {
      expect(() => certified({ after })).toThrow(
        expect.objectContaining({ name: 'RangeError', message: expect.stringMatching(/^after: /) }),
      )
    }
    for (const options of [undefined, 5n, 'after', [], { after: 1n, before: 2n }]) {
      expect(() => certified(options)).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(/^options: /) }),
      )
    }
    expect(() => certified({ after: 1n, skipDeleted: 1 })).toThrow(/^skipDeleted: /)
    expect(() => certified({ after: 1n, signal: 'now' })).toThrow(/^signal: /)
  })
})

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : 1
}

test('readers beyond the limit are refused and counted', async () => {
  const { start } = await alone()
  const worker = await start()
  const readers = Array.from({ length: CERTIFIED_READERS_MAX }, () => worker.certified({ after: 0n }))
  await expect(worker.certified({ after: 0n }).next()).rejects.toMatchObject({ code: 'ERR_BUSY' })
  expect(await worker.metrics()).toContain('narval_refusals_total{kind="reader",reason="too-many-readers"} 1\n')
  await readers[0]!.return!()
  expect(await makeBatches(worker, 1)).toHaveLength(1)
})
