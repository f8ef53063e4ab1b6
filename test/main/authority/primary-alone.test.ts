/** A primary whose worker is elsewhere, in the library: its commits have the bytes that the worker has. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Primary, Worker } from '../../../src/index.js'
import { logOf, type Member, narval, newMembers } from '../../support/authority-under-test.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const parameters = { maxBatchDelayMs: 5 }

async function startPrimary(member: Member): Promise<Primary> {
  const { committee, keys, store } = member
  const primary = await narval.startPrimary({ keys, committee, store, parameters, log: logOf(member) })
  onTestFinished(() => primary.close().catch(() => {}))
  return primary
}

async function startWorker(member: Member): Promise<Worker> {
  const { committee, keys, store } = member
  const worker = await narval.startWorker({
    keys,
    committee,
    store: join(store, 'worker-0'),
    parameters,
    primary: 'narval',
    poisonFreedSlots: true,
    log: logOf(member),
  })
  onTestFinished(() => worker.close().catch(() => {}))
  return worker
}

test('its commits have the bytes of their batches from the worker, and wait for one that is away', async () => {
  const [member] = await newMembers(1)
  const primary = await startPrimary(member!)
  expect(primary.health().workers.get(0)!.isConnected).toBe(false)
  expect(primary.health().problems.some((text) => text.startsWith('worker 0 is not connected'))).toBe(true)
  let worker = await startWorker(member!)
  const numbers: number[] = []
  const digests: Uint8Array[] = []
  const reading = (async () => {
    for await (const commit of primary.commits()) {
      for await (const batch of commit.batches()) {
        digests.push(batch.digest)
        for (const transaction of batch.transactions()) numbers.push(numberOf(transaction))
      }
    }
  })()
  await worker.submit(transactionOf(1, 100))
  await until('it is read', () => numbers.length === 1)
  await until('it is healthy', () => primary.health().ok)
  // Both ends say how the link is.
  expect(primary.health().workers.get(0)).toMatchObject({ isConnected: true, sinceMs: expect.any(Number) })
  expect(worker.health().link).toMatchObject({ isConnected: true, sinceMs: expect.any(Number) })
  for (const end of [primary, worker]) expect(await end.metrics()).toContain('narval_link_connected{link="0"} 1')
  expect((await primary.read(digests[0]!))!.author).toEqual(member!.keys.publicKey)

  // Another reader, from the beginning: the worker is away, and so it waits.
  await worker.close()
  await until('it is lost', () => !primary.health().ok)
  expect(await primary.read(digests[0]!)).toBeUndefined()
  let again = 0
  const waiting = (async () => {
    for await (const commit of primary.commits()) {
      for await (const batch of commit.batches()) again += batch.transactionCount
      if (again > 0) return
    }
  })()
  worker = await startWorker(member!)
  await waiting
  expect(again).toBe(1)
  await worker.submit(transactionOf(2, 100))
  await until('it goes on', () => numbers.length === 2)
  expect(numbers).toEqual([1, 2])
  await worker.close()
  await primary.close()
  await reading
})

test('what only workers take is refused at the door, and so is a kind of primary that there is not', async () => {
  const [member] = await newMembers(1)
  const { committee, keys, store } = member!
  const options = { keys, committee, store }
  await expect(narval.startPrimary({ ...options, clients: true } as never)).rejects.toThrow('clients')
  await expect(narval.startWorker({ ...options, primary: 'mine' as never })).rejects.toThrow('primary')
})
