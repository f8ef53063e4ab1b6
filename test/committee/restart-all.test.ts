import { setTimeout as sleep } from 'node:timers/promises'
import { it } from 'vitest'
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
    const reports = reportsOf(committee.nodes)
    await committee.start()
    // What LMDB had not flushed was not acknowledged either, and is gone after the restart: now is the time to look.
    const stores = await readStores(committee.nodes)
    checkNothingLost(committee, reports, stores)
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
  checkNothingLost(committee, reportsOf(committee.nodes), stores)
  for (const [index, node] of committee.nodes.entries()) {
    sequencesOf(node, stores)
    checkTransactions(node, stores.get(node)!, loads[index]!)
  }
})
