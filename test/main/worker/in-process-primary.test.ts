/** A primary in the worker's process, as a program has it: what it fails at, and what it had not finished. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Logger, Worker, WorkerPrimaryMessage } from '../../../src/index.js'
import { IN_PROCESS_CALLS_MAX } from '../../../src/main/worker/primary-link/limits.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { defaultParameters, type Parameters } from '../../../src/shared/config/parameters.js'
import { encodeBase64 } from '../../../src/shared/crypto/public-key.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const { startWorker } = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as typeof import('../../../src/index.js')

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
const BATCHES = 10

/** A committee of one, whose worker can be started again on its store. */
async function authority() {
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const directory = temporaryDirectory()
  return async (
    primary: (report: WorkerPrimaryMessage) => void | Promise<void>,
    parameters: Partial<Parameters> = {},
  ): Promise<Worker> => {
    const worker = await startWorker({
      keys,
      committee,
      store: join(directory, 'store'),
      parameters: { ...defaultParameters(), ackLevel: 'stored', maxBatchDelayMs: 5, ...parameters },
      bind: '127.0.0.1',
      log: silent,
      primary,
    })
    onTestFinished(() => worker.close().catch(() => {}))
    return worker
  }
}

/** Submits transactions, each in a batch of its own: the next goes when the last one's batch was handed over. */
async function certify(worker: Worker, count: number, handedOver: () => number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    await worker.submit(transactionOf(number, 100))
    await until(`batch ${number} is handed to the primary`, () => handedOver() > number)
  }
}

test('what an async primary had not finished when the worker closed is told again, and what it had is not', async () => {
  const start = await authority()
  const begun: string[] = []
  const finished: string[] = []
  const first = await start(async ({ digest }) => {
    const name = encodeBase64(digest)
    begun.push(name)
    // Of ten it finishes three; the others it is still writing somewhere when the worker closes.
    if (begun.length > 3) return new Promise<void>(() => {})
    await sleep(1)
    finished.push(name)
  })
  await certify(first, BATCHES, () => begun.length)
  await until('three are finished', () => finished.length === 3)
  await first.close()

  const again: string[] = []
  const second = await start(({ digest }) => void again.push(encodeBase64(digest)))
  await until('the others are told again', () => new Set(again).size === BATCHES - 3)
  expect([...again].sort()).toEqual(begun.filter((name) => !finished.includes(name)).sort())
  await second.close()

  const third: string[] = []
  await (await start(({ digest }) => void third.push(encodeBase64(digest)))).close()
  expect(third).toEqual([])
})

test.each([
  [
    'throws',
    () => {
      throw new Error('the disk is full')
    },
  ],
  [
    'rejects',
    async () => {
      await sleep(1)
      throw new Error('the disk is full')
    },
  ],
] as const)(
  'a primary that %s once ends the worker with its reason, and is told again after the next start',
  async (_, fails) => {
    const start = await authority()
    const unhandled: unknown[] = []
    const onUnhandled = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', onUnhandled)
    onTestFinished(() => void process.off('unhandledRejection', onUnhandled))
    let failed = ''
    const worker = await start(({ digest }) => {
      failed = encodeBase64(digest)
      return fails()
    })
    await worker.submit(transactionOf(1, 100))
    await expect(worker.stopped).rejects.toMatchObject({
      code: 'ERR_PRIMARY_FAILED',
      message: 'the primary in this process failed to take an OurBatch: the disk is full',
    })
    expect(worker.health().ok).toBe(false)
    await worker.close().catch(() => {})
    expect(unhandled).toEqual([])

    const again: string[] = []
    await start(({ digest }) => void again.push(encodeBase64(digest)))
    await until('it is told again', () => again.length === 1)
    expect(again).toEqual([failed])
  },
)

test('what became stale behind a slow primary is certified anew, told once, and shown and counted once', async () => {
  const start = await authority()
  const told: string[] = []
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const retentionRounds = 200
  const worker = await start(
    async ({ digest }) => {
      await gate
      told.push(encodeBase64(digest))
    },
    { gcDepthRounds: 10, retentionRounds },
  )
  const shown: string[] = []
  void (async () => {
    for await (const { digest } of worker.certified) shown.push(encodeBase64(digest))
  })()
  const waiting = 8
  const batches = IN_PROCESS_CALLS_MAX + waiting
  await certify(worker, batches, () => shown.length)
  for (let round = 1n; round <= retentionRounds / 2 + 1; round += 1n) worker.toWorker({ type: 'Cleanup', round })
  release()
  await until('all are told', () => told.length >= batches)
  // The calls that had begun could not be called back.
  await until('no more are renewed', async () =>
    (await worker.metrics()).includes(`narval_batches_renewed_total ${waiting}\n`),
  )
  await sleep(300)
  expect([...told].sort()).toEqual([...shown].sort())
  expect(new Set(told).size).toBe(batches)
  expect(await worker.metrics()).toContain(`narval_batches_certified_total ${batches}\n`)
  expect(await worker.metrics()).toContain(`narval_primary_reports_total{type="OurBatch"} ${batches}\n`)
})
