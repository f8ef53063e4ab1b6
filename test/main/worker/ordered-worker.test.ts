/**
 * A worker whose primary says what is committed, with the test in the place of the primary: what the worker tells again
 * after a restart, and what it keeps.
 */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { BatchReport, Logger, Worker } from '../../../src/index.js'
import type { OrderedWorker, OrderingPrimary } from '../../../src/main/worker/primary-link/ordering-primary.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { defaultParameters, type Parameters } from '../../../src/shared/config/parameters.js'
import { encodeBase64 } from '../../../src/shared/crypto/public-key.js'
import { readBatchHeader, transactions } from '../../../src/shared/wire/batch.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { fromDist } from '../../support/threads/main-side.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const { startLinkedWorker } =
  await fromDist<typeof import('../../../src/main/worker/worker.js')>('main/worker/worker.js')

/** A primary that the test plays: it takes every report, and says what the test has it say. */
class PlayedPrimary implements OrderingPrimary {
  readonly reports: BatchReport[] = []
  isFull = false
  worker!: OrderedWorker
  /** Commits that the worker is told of before it tells again what it has. */
  readonly replay: ((worker: OrderedWorker) => Promise<void>) | undefined

  constructor(replay?: (worker: OrderedWorker) => Promise<void>) {
    this.replay = replay
  }

  readonly onMessage = async (report: BatchReport): Promise<void> => void this.reports.push(report)

  attach(worker: OrderedWorker) {
    this.worker = worker
    const isFull = (): boolean => this.isFull
    return {
      get isFull() {
        return isFull()
      },
      sequencesAfter: Promise.resolve(0n),
      isConnected: true,
      replayed: this.replay?.(worker) ?? Promise.resolve(),
      close: async () => {},
    }
  }

  get names(): string[] {
    return this.reports.map(({ digest }) => encodeBase64(digest))
  }
}

async function authority() {
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const store = join(temporaryDirectory(), 'store')
  const lines: string[] = []
  const line = (text: string): void => void lines.push(text)
  const log: Logger = { error: line, warn: line, info: line, debug() {}, trace() {} }
  const start = async (primary: OrderingPrimary, parameters: Partial<Parameters> = {}): Promise<Worker> => {
    const worker = await startLinkedWorker(
      {
        keys,
        committee,
        store,
        parameters: { ...defaultParameters(), ackLevel: 'stored', maxBatchDelayMs: 5, ...parameters },
        bind: '127.0.0.1',
        log,
      },
      primary,
    )
    onTestFinished(() => worker.close().catch(() => {}))
    return worker
  }
  return { keys, lines, start }
}

/** Each in a batch of its own. */
async function certify(worker: Worker, primary: PlayedPrimary, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const before = primary.reports.length
    await worker.submit(transactionOf(number, 100))
    await until(`batch ${number} is reported`, () => primary.reports.length > before)
  }
}

const metric = async (worker: Worker, name: string): Promise<number> =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await worker.metrics())?.[1])

test('a report says whose batch it is and which, as its bytes do', async () => {
  const { keys, start } = await authority()
  const primary = new PlayedPrimary()
  const worker = await start(primary)
  await certify(worker, primary, 2)
  for (const { author, digest, sequence, type, workerId } of primary.reports) {
    const { bytes } = (await worker.read(digest))!
    expect([type, workerId, encodeBase64(author)]).toEqual(['OurBatch', 0, keys.name])
    expect([...transactions(bytes)]).toHaveLength(1)
    expect(readBatchHeader(bytes).sequence).toBe(sequence)
  }
})

test('what no commit has is told again after each start, and nothing is certified anew for it', async () => {
  const { lines, start } = await authority()
  const first = new PlayedPrimary()
  const worker = await start(first)
  expect(first.worker.applied).toBe(0)
  await certify(worker, first, 6)
  const { reports } = first
  await first.worker.committed([reports[1]!.digest, new Uint8Array(32)], { applied: 3 })
  await first.worker.committed([reports[4]!.digest], { applied: 8 })
  await worker.close()

  const { names } = first
  const uncommitted = [0, 2, 3, 5]
  for (const run of [1, 2]) {
    const primary = new PlayedPrimary()
    const again = await start(primary)
    await until('it is told again', () => primary.reports.length === uncommitted.length)
    expect(primary.names).toEqual(uncommitted.map((n) => names[n]))
    expect(primary.reports.map(({ sequence }) => sequence)).toEqual(uncommitted.map((n) => reports[n]!.sequence))
    expect([primary.worker.applied, primary.worker.storeId]).toEqual([8, first.worker.storeId])
    expect(await metric(again, 'narval_batches_certified_total'), `run ${run}`).toBe(0)
    await again.close()
  }
  expect(lines.filter((line) => /^Sent \d+ batches again/.test(line))).toEqual([])

  // What the log has is applied first; then nothing is left to be told.
  const last = new PlayedPrimary((worker) =>
    worker.committed(
      uncommitted.map((n) => reports[n]!.digest),
      { applied: 9 },
    ),
  )
  const worker3 = await start(last)
  await certify(worker3, last, 1)
  expect(last.reports).toHaveLength(1)
  expect(names).not.toContain(last.names[0])
})

test('what was not delivered is certified again, and told once', async () => {
  const { start } = await authority()
  const deaf = new PlayedPrimary()
  const told: string[] = []
  const worker = await start({
    attach: (worker) => deaf.attach(worker),
    // It never has them on its disk.
    onMessage: ({ digest }) => {
      told.push(encodeBase64(digest))
      return new Promise(() => {})
    },
  })
  for (let number = 0; number < 3; number += 1) {
    await worker.submit(transactionOf(number, 100))
    await until('it is handed over', () => told.length > number)
  }
  await worker.close()
  const primary = new PlayedPrimary()
  const again = await start(primary)
  await until('they are told again', () => primary.reports.length >= 3)
  expect(primary.names.sort()).toEqual([...told].sort())
  expect(await metric(again, 'narval_batches_certified_total')).toBe(3)
  await again.close()
  expect(primary.names).toHaveLength(3)
})

test('a primary that cannot order has sealing pause, and nothing is lost', async () => {
  const { start } = await authority()
  const primary = new PlayedPrimary()
  const worker = await start(primary, { ownSlots: 16 })
  await certify(worker, primary, 1)
  primary.isFull = true
  let taken = 0
  const submitted = Promise.all(
    Array.from({ length: 3_000 }, async (_, number) => {
      await worker.submit(transactionOf(number, 5_000)).catch((error: { code?: string }) => {
        if (error.code !== 'ERR_BUSY') throw error
        taken -= 1
      })
      taken += 1
    }),
  )
  // Slots that were out when it became full are filled still; then nothing is sealed any more.
  await until('it seals no more', async () => {
    const before = primary.reports.length
    await new Promise((resolve) => setTimeout(resolve, 600))
    return primary.reports.length === before
  })
  const paused = primary.reports.length
  primary.isFull = false
  await submitted
  await until('it goes on', () => primary.reports.length > paused)
  const count = async (): Promise<number> => {
    let transactionsSeen = 0
    for (const { digest } of primary.reports) {
      transactionsSeen += [...transactions((await worker.read(digest))!.bytes)].length
    }
    return transactionsSeen
  }
  await until('all that was taken is certified', async () => (await count()) === taken + 1)
})

test('no batch is deleted before it is committed, whatever its age, and then by retention', async () => {
  const { start } = await authority()
  const primary = new PlayedPrimary()
  const worker = await start(primary, { gcDepthRounds: 1, retentionRounds: 2 })
  await certify(worker, primary, 3)
  const [old, kept, other] = primary.reports.map(({ digest }) => digest)
  // Thousands of commits without any of them.
  await primary.worker.committed([], { applied: 5_000 })
  await primary.worker.committed([old!], { applied: 5_001 })
  await primary.worker.committed([other!], { applied: 5_003 })
  await primary.worker.committed([], { applied: 5_004 })
  await until('what was committed long ago is deleted', async () => (await worker.read(old!)) === undefined)
  expect(await worker.read(kept!)).toBeDefined()
  expect(await worker.read(other!)).toBeDefined()
  await until('one is deleted', async () => (await metric(worker, 'narval_batches_deleted_total')) === 1)
})
