import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { InProcessPrimaryLink } from '../../../../src/main/worker/primary-link/in-process-primary-link.js'
import { IN_PROCESS_CALLS_MAX } from '../../../../src/main/worker/primary-link/limits.js'
import { parseCommittee } from '../../../../src/shared/config/committee.js'
import { localCommittee } from '../../../../src/shared/config/committee-file.js'
import type { NarvalError } from '../../../../src/shared/errors.js'
import type { Moment } from '../../../../src/shared/freshness.js'
import type { PrimaryRefusal } from '../../../../src/shared/refusals.js'
import type { WorkerPrimaryMessage } from '../../../../src/shared/wire/primary-messages.js'
import { vectors } from '../../../support/reference-vectors.js'

const committee = parseCommittee(
  localCommittee(
    vectors.keys.map((key) => key.name_base64),
    1,
    4000,
  ),
  'test',
)
const WORKER = { committee, ownIndex: 1, workerId: 3 }

import { digestOf, numberOf } from '../../../support/numbered-digests.js'
import { others, our } from '../../../support/numbered-reports.js'

const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 30_000, interval: 5 })
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** A link with a worker at its end, and what the worker was told. */
async function linkTo(onMessage: (message: WorkerPrimaryMessage) => void | Promise<void>, queueMax?: number) {
  const reported: number[] = []
  const failures: NarvalError[] = []
  const events: unknown[] = []
  const stale: number[] = []
  /** What was acknowledged in an earlier round than this must not be told. */
  const fresh = { fromRound: 0 }
  const primary = new InProcessPrimaryLink({ onMessage, ...(queueMax !== undefined && { queueMax }) })
  const handlers = {
    isStale: ({ rounds }: Moment) => rounds < fresh.fromRound,
    onConnection: () => {},
    onStale: (digests: readonly Uint8Array[]) => void stale.push(...digests.map(numberOf)),
    onReported: (digests: readonly Uint8Array[]) => void reported.push(...digests.map(numberOf)),
    onRoom: () => void events.push('room'),
    onFailed: (error: NarvalError) => void failures.push(error),
    onSynchronize: (digests: readonly Uint8Array[], target: number) =>
      void events.push(['synchronize', digests.map(numberOf), target]),
    onCleanup: (round: bigint) => void events.push(['cleanup', round]),
    onRefused: (reason: PrimaryRefusal, from: string) => void events.push([reason, from]),
  }
  const link = await primary.open(WORKER, handlers)
  return { primary, link, handlers, reported, failures, events, stale, fresh }
}

test('a primary in the process gets the same messages and sends through the same checks', async () => {
  const messages: WorkerPrimaryMessage[] = []
  const idle = new InProcessPrimaryLink({ onMessage: () => {} })
  idle.send({ type: 'Cleanup', round: 1n })
  const { primary, link, handlers, reported, events } = await linkTo((message) => void messages.push(message))
  await expect(primary.open({ ...WORKER, workerId: 4 }, handlers)).rejects.toMatchObject({ code: 'ERR_USAGE' })
  link.report(our(5))
  link.report(others(6))
  // The primary's code does not run within the stage that reports.
  expect(messages).toEqual([])
  await until(() => link.queued === 0)
  const author = committee.authority(0).publicKey
  expect(messages).toEqual([
    { type: 'OurBatch', digest: new Uint8Array(digestOf(5)), workerId: 3, author, sequence: 5n, isDelivered: false },
    { type: 'OthersBatch', digest: new Uint8Array(digestOf(6)), workerId: 3, author, sequence: 6n, isDelivered: false },
  ])
  expect(reported).toEqual([5])
  const key = (index: number): Uint8Array => committee.authority(index).publicKey
  primary.send({ type: 'Cleanup', round: 2n })
  primary.send({ type: 'Synchronize', digests: [digestOf(1), digestOf(2), digestOf(1)], target: key(1) })
  primary.send({ type: 'Synchronize', digests: [digestOf(3)], target: key(2) })
  primary.send({ type: 'Synchronize', digests: [digestOf(3)], target: new Uint8Array(32) })
  await link.close()
  primary.send({ type: 'Cleanup', round: 3n })
  link.report(our(7))
  await sleep(10)
  expect(messages).toHaveLength(2)
  expect(events).toEqual([
    ['cleanup', 2n],
    ['synchronize', [1, 2], 1],
    ['synchronize', [3], 2],
    ['synchronize-unknown-target', 'in-process'],
  ])
})

test('a report counts when its promise resolves, calls begin in order, and so many at a time', async () => {
  const open: { number: number; resolve: () => void }[] = []
  const begun: number[] = []
  const { link, reported } = await linkTo(({ digest }) => {
    begun.push(numberOf(digest))
    return new Promise<void>((resolve) => open.push({ number: numberOf(digest), resolve }))
  })
  const total = 3 * IN_PROCESS_CALLS_MAX
  for (const number of range(total)) link.report(our(number))
  await until(() => begun.length === IN_PROCESS_CALLS_MAX)
  await sleep(10)
  expect(begun).toEqual(range(IN_PROCESS_CALLS_MAX))
  expect(reported).toEqual([])
  expect(link.queued).toBe(total)
  open.find(({ number }) => number === 7)!.resolve()
  await until(() => begun.length === IN_PROCESS_CALLS_MAX + 1)
  expect(reported).toEqual([7])
  while (begun.length < total) {
    for (const { resolve } of open.splice(0)) resolve()
    await sleep(0)
  }
  for (const { resolve } of open) resolve()
  await until(() => link.queued === 0)
  expect(begun).toEqual(range(total))
  expect([...reported].sort((a, b) => a - b)).toEqual(range(total))
})

test.each([
  [
    'throws',
    () => {
      throw new Error('no disk')
    },
  ],
  ['rejects', () => Promise.reject(new Error('no disk'))],
  [
    'throws what is no error',
    () => {
      throw 'no disk'
    },
  ],
] as const)('a primary that %s ends the worker with the reason, and nothing more is handed to it', async (_, fails) => {
  let calls = 0
  const { link, reported, failures } = await linkTo(() => {
    calls += 1
    if (calls === 2) return fails()
  })
  for (const number of range(5)) link.report(our(number))
  await until(() => failures.length === 1)
  await sleep(10)
  expect(failures[0]).toMatchObject({
    code: 'ERR_PRIMARY_FAILED',
    message: 'the primary in this process failed to take an OurBatch: no disk',
  })
  // The first may have been taken, but what the failure overtook counts as not told.
  expect(reported.every((number) => number === 0)).toBe(true)
  // The calls of the same turn had begun before the promise was seen to reject, and no others.
  expect(calls).toBeLessThanOrEqual(5)
  expect(link.isConnected).toBe(false)
  link.report(our(9))
  await sleep(10)
  expect(failures).toHaveLength(1)
  await link.close()
})

test('close waits for what the primary is doing, and what it does not finish is not reported', async () => {
  const resolves: (() => void)[] = []
  const { link, reported } = await linkTo(
    ({ digest }) =>
      new Promise<void>((resolve) => {
        if (numberOf(digest) < 8) setTimeout(resolve, 50)
        else resolves.push(resolve)
      }),
  )
  for (const number of range(10)) link.report(our(number))
  await link.close()
  expect([...reported].sort((a, b) => a - b)).toEqual(range(8))
  for (const resolve of resolves) resolve()
  await sleep(10)
  expect(reported).toHaveLength(8)
})

test('a primary that does not keep up makes the link full of own reports, never of others', async () => {
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const { link, events } = await linkTo(() => gate, 100)
  for (const number of range(500)) link.report(others(number))
  await sleep(10)
  expect([link.isFull, link.queued]).toEqual([false, 100])
  for (const number of range(100)) link.report(our(number))
  expect(link.isFull).toBe(true)
  release()
  await until(() => link.queued === 0)
  expect(events).toContain('room')
  expect(link.isFull).toBe(false)
})

test('reports that became stale behind a primary that did not keep up are not handed over', async () => {
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const { link, reported, stale, fresh } = await linkTo(() => gate)
  const total = 2 * IN_PROCESS_CALLS_MAX
  for (const number of range(total)) link.report({ ...our(number), since: { rounds: number, awayMs: 0 } })
  await sleep(10)
  fresh.fromRound = total - 4
  release()
  await until(() => link.queued === 0)
  // Those whose calls had begun cannot be called back.
  const begun = range(IN_PROCESS_CALLS_MAX)
  expect([...reported].sort((a, b) => a - b)).toEqual([...begun, ...range(total).slice(-4)])
  expect(stale).toEqual(range(total).slice(IN_PROCESS_CALLS_MAX, -4))
})
