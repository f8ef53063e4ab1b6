/** Cleanup rounds that begin anew, or are absurd: retention goes on, and goes on over a restart. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Logger, Worker } from '../../../src/index.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const { startWorker } = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as typeof import('../../../src/index.js')

const RETENTION = 4

async function authority() {
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const directory = temporaryDirectory()
  const lines: string[] = []
  const line = (text: string): void => void lines.push(text)
  const log: Logger = { error: line, warn: line, info: line, debug() {}, trace() {} }
  const start = async (): Promise<{ worker: Worker; certify: (number: number) => Promise<Uint8Array> }> => {
    const reports: Uint8Array[] = []
    const worker = await startWorker({
      keys,
      committee,
      store: join(directory, 'store'),
      parameters: {
        ...defaultParameters(),
        ackLevel: 'stored',
        maxBatchDelayMs: 5,
        gcDepthRounds: 1,
        retentionRounds: RETENTION,
      },
      bind: '127.0.0.1',
      log,
      primary: ({ digest }) => void reports.push(digest),
    })
    onTestFinished(() => worker.close())
    const certify = async (number: number): Promise<Uint8Array> => {
      const before = reports.length
      await worker.submit(transactionOf(number, 100))
      await until('it is reported', () => reports.length > before)
      return reports.at(-1)!
    }
    return { worker, certify }
  }
  return { start, lines }
}

/** Sends rounds from `first` on until the batch is gone; returns how many that took. */
async function roundsUntilGone(worker: Worker, digest: Uint8Array, first: bigint): Promise<bigint> {
  let round = first
  await until('the batch is deleted', async () => {
    worker.toWorker({ type: 'Cleanup', round })
    round += 1n
    return (await worker.read(digest)) === undefined
  })
  return round - first
}

const present = async (worker: Worker, digest: Uint8Array): Promise<boolean> =>
  (await worker.read(digest)) !== undefined

test('one absurd round deletes nothing, and retention goes on after it', async () => {
  const { start, lines } = await authority()
  const { worker, certify } = await start()
  worker.toWorker({ type: 'Cleanup', round: 10n })
  const digest = await certify(1)
  for (const round of [2n ** 64n - 1n, 11n, 10n ** 9n, 12n]) worker.toWorker({ type: 'Cleanup', round })
  expect(await present(worker, digest)).toBe(true)
  expect(await worker.metrics()).toMatch(/narval_refusals_total\{kind="primary",reason="cleanup-implausible"\} 2/)
  expect(lines.some((line) => line.includes('cleanup-implausible'))).toBe(true)
  expect(await roundsUntilGone(worker, digest, 13n)).toBeLessThan(1_000n)
})

test('a primary with a new store is followed, over a restart of the worker too, and old batches go in time', async () => {
  const { start, lines } = await authority()
  const first = await start()
  for (let round = 1n; round <= 500n; round += 1n) first.worker.toWorker({ type: 'Cleanup', round })
  const digest = await first.certify(1)
  // New numbers. Nothing is deleted for the way back.
  for (const round of [1n, 2n, 3n]) first.worker.toWorker({ type: 'Cleanup', round })
  expect(await present(first.worker, digest)).toBe(true)
  expect(lines.some((line) => line.includes('rounds begin anew: 2 after 500'))).toBe(true)
  await first.worker.close()

  const second = await start()
  expect(await present(second.worker, digest)).toBe(true)
  expect(await roundsUntilGone(second.worker, digest, 4n)).toBeLessThan(1_000n)
  expect(lines.filter((line) => line.includes('begin anew'))).toHaveLength(1)
  expect(await second.worker.metrics()).not.toContain('cleanup-lower')
  const next = await second.certify(2)
  expect(await present(second.worker, next)).toBe(true)
})
