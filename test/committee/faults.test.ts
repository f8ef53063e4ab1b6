import { expect, it } from 'vitest'
import { IN_FLIGHT_MIN } from '../../src/main/worker/dissemination/limits.js'
import { SEALED_AHEAD } from '../../src/main/worker/limits.js'
import { digestBytes, type TestNode, testCommittee, until } from '../support/committee.js'
import { numbersIn } from '../support/stores.js'

async function certifiedAll(node: TestNode, transactions: number): Promise<void> {
  await until(`node ${node.index} has certified ${transactions} transactions`, async () => {
    return (await node.metric('narval_transactions_certified_total')) >= transactions
  })
}

it('with one down, a committee of four certifies', async () => {
  const committee = await testCommittee()
  await committee.start(0, 1, 3)
  for (const node of committee.running) {
    const client = await node.client()
    await client.send(200, 512)
    await client.end()
  }
  for (const node of committee.running) {
    await certifiedAll(node, 200)
    await until(`node ${node.index} reports`, () => node.primary.own.size > 0)
    await committee.spread(node, node.primary.own.keys())
    expect(await node.isHealthy()).toBe(true)
  }
})

/** As many as may be uncertified at once. */
const BATCHES = IN_FLIGHT_MIN + SEALED_AHEAD

it('with two down it does not certify; once one is back, the batches that waited are certified', async () => {
  const committee = await testCommittee()
  await committee.start(1, 2)
  const [author, other] = [committee.node(1), committee.node(2)]
  const client = await author.client()
  // Each batch is stored here and there, and its ACK was judged, before the next one is sent: what was going to be
  // certified by two of four would have been by then, several times over.
  for (let batches = 1; batches <= BATCHES; batches += 1) {
    await client.send(3, 512)
    await until(`batch ${batches} is stored at both`, async () => {
      return (
        (await author.metric('narval_batches_stored_total', { kind: 'own' })) === batches &&
        other.primary.others.size === batches &&
        (await author.metric('narval_acks_total')) >= batches
      )
    })
  }
  await client.end()
  expect(author.primary.own.size).toBe(0)
  expect(await author.metric('narval_batches_certified_total')).toBe(0)
  expect(await author.metric('narval_batches_in_flight')).toBe(BATCHES)
  expect(await author.isHealthy()).toBe(false)

  await committee.start(0)
  await until('all that waited is certified and reported', () => author.primary.own.size === BATCHES)
  await committee.spread(author, author.primary.own.keys())
  const store = await committee.node(0).readStore()
  const numbers = [...author.primary.own.keys()].flatMap((digest) => numbersIn(store.get(digest)!.bytes))
  expect(numbers.sort((a, b) => a - b)).toEqual(client.sent)
})

it('a peer that hangs delays nobody; when it goes on, it gets what it missed', async () => {
  const ownSlots = 8
  const committee = await testCommittee({ parameters: { ownSlots, ackTimeoutMs: 2000 } })
  await committee.start()
  const hung = committee.node(3)
  const others = committee.nodes.filter((node) => node !== hung)
  const loads = others.map((node) => node.load())
  const counts = (): number[] => others.map(({ primary }) => primary.own.size)
  await until('all certify', () => counts().every((count) => count >= 10))

  hung.freeze()
  const before = counts()
  await until('each certifies several times its slots meanwhile', () =>
    counts().every((count, index) => count >= before[index]! + 5 * ownSlots),
  )
  hung.thaw()
  await Promise.all(loads.map((load) => load.stop()))
  await Promise.all(others.map((node, index) => certifiedAll(node, loads[index]!.sent.length)))
  const peer = hung.name.slice(0, 16)
  const dropped = await Promise.all(others.map((node) => node.metric('narval_batches_dropped_total', { peer })))
  expect(Math.min(...dropped)).toBeGreaterThan(0)

  await committee.connected()
  for (const node of others) {
    await until(`node ${node.index} reports all`, async () => {
      return node.primary.own.size === (await node.metric('narval_batches_certified_total'))
    })
    const missed = [...node.primary.own.keys()].filter((digest) => !hung.primary.others.has(digest))
    await hung.primary.send({ type: 'Synchronize', digests: missed.map(digestBytes), target: node.keys.publicKey })
  }
  // Of the others one may have lagged too, on a busy machine, so that a batch was dropped for it.
  await until('the one that hung has all', () =>
    others.every(({ primary }) => [...primary.own.keys()].every((digest) => hung.primary.others.has(digest))),
  )
  const client = await hung.client()
  await client.send(10, 512)
  await certifiedAll(hung, 10)
})
