import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { TestLoad } from './support/client.js'
import { type TestCommittee, type TestNode, testCommittee, until } from './support/committee.js'
import { seeded } from './support/random.js'
import { numbersIn, type StoredBatch } from './support/stores.js'

/** Up to this long after its load has begun to be certified, a node is killed. */
const KILL_WITHIN_MS = 1500

type Stores = ReadonlyMap<TestNode, ReadonlyMap<string, StoredBatch>>

async function readStores(nodes: readonly TestNode[]): Promise<Stores> {
  return new Map(await Promise.all(nodes.map(async (node) => [node, await node.readStore()] as const)))
}

/** Each worker's sequences, over all stores: one batch each. Returns them in order. */
function sequencesOf(author: TestNode, stores: Stores): bigint[] {
  const digests = new Map<bigint, string>()
  for (const store of stores.values()) {
    for (const [digest, batch] of store) {
      if (batch.author !== author.name) continue
      expect(digests.get(batch.sequence) ?? digest, `sequence ${batch.sequence}`).toBe(digest)
      digests.set(batch.sequence, digest)
    }
  }
  return [...digests.keys()].sort((a, b) => (a < b ? -1 : 1))
}

function ownBatches(node: TestNode, store: ReadonlyMap<string, StoredBatch>): string[] {
  return [...store].filter(([, { author }]) => author === node.name).map(([digest]) => digest)
}

/** What a quorum has acknowledged is in the stores of a quorum; what was reported as stored is stored. */
function checkNothingLost(committee: TestCommittee, stores: Stores): void {
  const { quorumThreshold } = committee.committee
  for (const [node, store] of stores) {
    for (const digest of node.primary.own.keys()) {
      const holders = [...stores].filter(([, other]) => other.has(digest))
      expect(holders.length, `${digest} of node ${node.index}`).toBeGreaterThanOrEqual(quorumThreshold)
    }
    for (const digest of node.primary.others.keys()) {
      expect(store.has(digest), `${digest} at node ${node.index}`).toBe(true)
    }
  }
}

/** No transaction is in two batches, and none that is in a store was not sent. */
function checkTransactions(author: TestNode, store: ReadonlyMap<string, StoredBatch>, load: TestLoad): void {
  const numbers = ownBatches(author, store).flatMap((digest) => numbersIn(store.get(digest)!.bytes))
  const sent = new Set(load.sent)
  expect(new Set(numbers).size).toBe(numbers.length)
  expect(numbers.filter((number) => !sent.has(number))).toEqual([])
}

/** All own batches in the node's store are reported, sooner or later. */
async function reportsAll(node: TestNode): Promise<void> {
  await until(`node ${node.index} has reported all of its own batches`, async () => {
    return ownBatches(node, await node.readStore()).every((digest) => node.primary.own.has(digest))
  })
}

it('kill -9 under load and restart, again and again: what was acknowledged is kept, what was not reported is certified', async () => {
  // Three of four run: a batch is certified only if each of them has stored it.
  const seed = 20260
  const random = seeded(seed)
  const committee = await testCommittee()
  await committee.start(0, 1, 2)
  const nodes = committee.running
  const loads = nodes.map((node) => node.load(3, 400))
  for (let round = 1; round <= 4; round += 1) {
    const victim = nodes[Math.floor(random() * nodes.length)]!
    const before = victim.primary.own.size
    await until('the victim certifies', () => victim.primary.own.size > before + 3)
    await sleep(random() * KILL_WITHIN_MS)
    const reported = new Map(nodes.map((node) => [node, [...node.primary.own.keys()]]))
    await victim.kill()

    const store = await victim.readStore()
    for (const digest of [...reported.values()].flat()) expect(store.has(digest), `seed ${seed}, ${digest}`).toBe(true)
    const left = ownBatches(victim, store).filter((digest) => !victim.primary.own.has(digest))
    await victim.start()
    await committee.connected()
    await until(`the ${left.length} batches that the victim had not reported are certified and reported`, () =>
      left.every((digest) => victim.primary.own.has(digest)),
    )
  }
  await Promise.all(loads.map((load) => load.stop()))
  for (const node of nodes) await reportsAll(node)
  const stores = await readStores(nodes)
  checkNothingLost(committee, stores)
  for (const [index, node] of nodes.entries()) {
    sequencesOf(node, stores)
    checkTransactions(node, stores.get(node)!, loads[index]!)
  }
})

it('own batches that the primary was not told of are sent again under their old sequence, with one of the committee away', async () => {
  const committee = await testCommittee()
  await committee.start(0, 1, 2)
  const author = committee.node(1)
  await author.primary.close()
  const client = await author.client()
  // Many times what can be on its way again at once.
  const batches = 40
  for (let count = 1; count <= batches; count += 1) {
    await client.send(2, 300)
    await until(`batch ${count} is certified`, async () => {
      return (await author.metric('narval_batches_certified_total')) >= count
    })
  }
  const before = await author.readStore()
  const sequences = sequencesOf(author, await readStores(committee.running))
  expect(sequences.length).toBe(batches)
  expect(author.primary.own.size).toBe(0)
  await author.kill()
  client.destroy()

  // Node 2 stays behind; node 3 has none of it, and its ACKs are needed.
  await committee.node(2).kill()
  await committee.start(3)
  await author.primary.open()
  await author.start()
  await until('all are reported', () => author.primary.own.size >= batches)
  expect([...author.primary.own.keys()].sort()).toEqual(ownBatches(author, before).sort())
  const after = await committee.node(3).readStore()
  for (const [digest, batch] of before) {
    if (batch.author !== author.name) continue
    expect(Buffer.compare(after.get(digest)!.bytes, batch.bytes)).toBe(0)
  }

  // A new batch has a sequence above all that were there, after one more crash too.
  for (let crash = 1; crash <= 2; crash += 1) {
    const next = await author.client()
    await next.send(1, 300)
    await until('a new batch is certified', () => author.primary.own.size === batches + crash)
    const now = sequencesOf(author, await readStores(committee.running))
    expect(now.slice(0, batches)).toEqual(sequences)
    expect(now.length).toBe(batches + crash)
    await author.kill()
    next.destroy()
    await author.start()
    await committee.connected()
  }
})

it('kill -9 of all four under load and restart: what was reported is in the stores of a quorum, the rest gets reported', async () => {
  const random = seeded(7)
  const committee = await testCommittee()
  await committee.start()
  const loads = committee.nodes.map((node) => node.load(3, 400))
  for (let round = 1; round <= 2; round += 1) {
    const before = committee.nodes.map(({ primary }) => primary.own.size)
    await until('all certify', () =>
      committee.nodes.every(({ primary }, index) => primary.own.size > before[index]! + 3),
    )
    await sleep(random() * KILL_WITHIN_MS)
    await Promise.all(committee.nodes.map((node) => node.kill()))
    const stores = await readStores(committee.nodes)
    checkNothingLost(committee, stores)
    await committee.start()
    for (const node of committee.nodes) {
      const own = ownBatches(node, stores.get(node)!)
      await until(`node ${node.index} reports what it had stored`, () =>
        own.every((digest) => node.primary.own.has(digest)),
      )
    }
  }
  await Promise.all(loads.map((load) => load.stop()))
  for (const node of committee.nodes) await reportsAll(node)
  const stores = await readStores(committee.nodes)
  checkNothingLost(committee, stores)
  for (const [index, node] of committee.nodes.entries()) {
    sequencesOf(node, stores)
    checkTransactions(node, stores.get(node)!, loads[index]!)
  }
})
