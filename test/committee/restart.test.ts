import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { testCommittee, until } from '../support/committee.js'
import {
  checkNothingLost,
  checkTransactions,
  KILL_WITHIN_MS,
  ownBatches,
  readStores,
  reportsAll,
  reportsOf,
  sequencesOf,
} from '../support/crash-checks.js'
import { seeded } from '../support/random.js'

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
    const acknowledged = nodes.flatMap(({ primary }) => [...primary.own.keys()])
    await victim.kill()
    const reported = new Set(victim.primary.own.keys())
    await victim.start()
    await committee.connected()
    // What LMDB had not flushed was not acknowledged either, and is gone after the restart: now is the time to look.
    const store = await victim.readStore()
    const lost = acknowledged.filter((digest) => !store.has(digest))
    expect(lost, `seed ${seed}, round ${round}`).toEqual([])
    const left = ownBatches(victim, store).filter((digest) => !reported.has(digest))
    await until(`the ${left.length} batches that the victim had not reported are certified and reported`, () =>
      left.every((digest) => victim.primary.own.has(digest)),
    )
  }
  await Promise.all(loads.map((load) => load.stop()))
  for (const node of nodes) await reportsAll(node)
  const stores = await readStores(nodes)
  checkNothingLost(committee, reportsOf(nodes), stores)
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
