/** Runs in pairs: two nodes, nearly idle. */
import { expect, it } from 'vitest'
import { PRIMARY_QUEUE_MAX } from '../../src/main/worker/primary-link/limits.js'
import { digestBytes, testCommittee, until } from '../support/committee.js'
import { numbersIn } from '../support/stores.js'

it('while the primary is away its reports wait, those of others make way, and all own batches are reported when it is back', async () => {
  // One transaction fills a batch.
  const committee = await testCommittee({ nodes: 2, parameters: { batchBytesMax: 1100 } })
  await committee.start()
  const [node, other] = [committee.node(0), committee.node(1)]
  const certified = (): Promise<number> => node.metric('narval_batches_certified_total')

  await node.primary.close()
  await until('the node knows', async () => (await node.metric('narval_primary_connected')) === 0)
  const client = await node.client()
  await client.send(200, 1000)
  await until('batches are certified all the same', async () => (await certified()) === 200)
  expect(node.primary.own.size).toBe(0)
  await until('their reports wait', async () => (await node.metric('narval_primary_queue')) >= 200)
  expect(await node.isHealthy()).toBe(true)

  // The queue is filled by asking for the other's batches again and again: each is a report.
  const theirs = await other.client()
  await theirs.send(400, 1000)
  await until("the other's batches are certified", () => other.primary.own.size === 400)
  await until("the other's batches are stored", async () => (await node.readStore()).size >= 600)
  const digests = [...other.primary.own.keys()].map(digestBytes)
  for (let reports = 0; reports < PRIMARY_QUEUE_MAX; reports += digests.length) {
    await node.primary.send({ type: 'Synchronize', digests, target: other.keys.publicKey })
  }
  await until('the queue is full', async () => (await node.metric('narval_primary_queue')) >= PRIMARY_QUEUE_MAX)
  // What others sent does not stop this node: it goes on, and its own reports take the places of theirs.
  await client.send(300, 1000)
  await until('its batches are certified all the same', async () => (await certified()) === 500)
  await until('they have taken the places', async () => {
    return (await node.metric('narval_primary_reports_dropped_total')) >= 300
  })
  expect(await node.metric('narval_primary_queue')).toBe(PRIMARY_QUEUE_MAX)
  expect(node.primary.own.size).toBe(0)

  await node.primary.open()
  await until('everything is reported', () => node.primary.own.size === 500)
  const store = await other.readStore()
  const numbers = [...node.primary.own.keys()].flatMap((digest) => numbersIn(store.get(digest)!.bytes))
  expect(numbers.sort((a, b) => a - b)).toEqual(client.sent)
  await until('nothing waits any more', async () => (await node.metric('narval_primary_queue')) === 0)
})
