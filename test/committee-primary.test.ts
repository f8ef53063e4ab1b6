import { expect, it } from 'vitest'
import { PRIMARY_QUEUE_MAX } from '../src/shared/constants.js'
import { digestBytes, testCommittee, until } from './support/committee.js'
import { numbersIn } from './support/stores.js'

it('while the primary is away its reports wait, sealing pauses when too many do, and all are made when it is back', async () => {
  const ownSlots = 32
  // One transaction fills a batch.
  const committee = await testCommittee({ nodes: 2, parameters: { batchBytesMax: 1100, ownSlots } })
  await committee.start()
  const [node, other] = [committee.node(0), committee.node(1)]
  const certified = (): Promise<number> => node.metric('narval_batches_certified_total')
  const sealed = (): Promise<number> => node.metric('narval_batches_sealed_total')

  await node.primary.close()
  await until('the node knows', async () => (await node.metric('narval_primary_connected')) === 0)
  const client = await node.client()
  await client.send(200, 1000)
  await until('batches are certified all the same', async () => (await certified()) === 200)
  expect(node.primary.own.size).toBe(0)
  await until('their reports wait', async () => (await node.metric('narval_primary_queue')) >= 200)
  expect(await node.isHealthy()).toBe(true)

  // The queue is filled by asking for stored batches again and again: each is a report.
  const theirs = await other.client()
  await theirs.send(400, 1000)
  await until("the other's batches are certified", () => other.primary.own.size === 400)
  await until("the other's batches are stored", async () => (await node.readStore()).size >= 600)
  const digests = [...other.primary.own.keys()].map(digestBytes)
  for (let reports = 0; reports < PRIMARY_QUEUE_MAX; reports += digests.length) {
    await node.primary.send({ type: 'Synchronize', digests, target: other.keys.publicKey })
  }
  await until('the queue is full', async () => (await node.metric('narval_primary_queue')) >= PRIMARY_QUEUE_MAX)
  const pauses = (): Promise<number> => node.metric('narval_client_pauses_total')
  const [sealedBefore, pausesBefore] = [await sealed(), await pauses()]
  await client.send(300, 1000)
  await until('the client is paused', async () => (await pauses()) > pausesBefore)
  // Meanwhile the node serves the other, as long as it takes for all of this to be certified otherwise.
  await theirs.send(300, 1000)
  await until("the other's batches are certified", () => other.primary.own.size === 700)
  await until('what was sealed is certified', async () => (await certified()) === (await sealed()))
  // The slots that were free when the queue became full are used up, and none is given out again.
  expect((await sealed()) - sealedBefore).toBeLessThanOrEqual(ownSlots)
  expect(node.primary.own.size).toBe(0)

  await node.primary.open()
  await until('everything is reported', () => node.primary.own.size === 500)
  expect(await certified()).toBe(500)
  const store = await other.readStore()
  const numbers = [...node.primary.own.keys()].flatMap((digest) => numbersIn(store.get(digest)!.bytes))
  expect(numbers.sort((a, b) => a - b)).toEqual(client.sent)
  await until('nothing waits any more', async () => (await node.metric('narval_primary_queue')) === 0)
})
