import { statSync } from 'node:fs'
import { expect, it } from 'vitest'
import { SEGMENTS_SLACK, SEGMENTS_SPARE_MAX } from '../../src/shared/store/segments/limits.js'
import { testCommittee, until } from '../support/committee.js'
import { dataFile, segmentFiles } from '../support/damaged-stores.js'

/** Own batches that every node reports in one round: rounds go on as batches do, as fast as the machine allows. */
const BATCHES_PER_ROUND = 5

it('with retention, stores stay bounded under load however many rounds go by: old batches leave all of them', async () => {
  const retentionRounds = 6
  const committee = await testCommittee({ parameters: { gcDepthRounds: 3, retentionRounds } })
  await committee.start()
  const { nodes } = committee
  const loads = nodes.map((node) => node.load(10, 1000))
  /** What each node's batches were, by the round in which they were reported. */
  const reportedIn: string[][] = []
  const fileBytes = (): number => Math.max(...nodes.map(({ store }) => statSync(dataFile(store)).size))
  const cleanup = async (round: number): Promise<void> => {
    for (const { primary } of nodes) await primary.send({ type: 'Cleanup', round: BigInt(round) })
  }

  const rounds = 45
  const settled = 15
  let settledFileBytes = 0
  for (let round = 1; round <= rounds; round += 1) {
    const before = nodes.map(({ primary }) => primary.own.size)
    await until(`every node reports ${BATCHES_PER_ROUND} batches in round ${round}`, () =>
      nodes.every(({ primary }, index) => primary.own.size >= before[index]! + BATCHES_PER_ROUND),
    )
    reportedIn.push(nodes.flatMap(({ primary }, index) => [...primary.own.keys()].slice(before[index])))
    await cleanup(round)
    if (round === settled) settledFileBytes = fileBytes()
  }
  await Promise.all(loads.map((load) => load.stop()))

  // The last rounds' batches are all there.
  const recent = reportedIn.slice(-3).flat()
  const old = reportedIn.slice(0, rounds - 2 * retentionRounds).flat()
  for (const [index, node] of nodes.entries()) {
    await until(`node ${index} has the recent batches`, async () => {
      const store = await node.readStore()
      return recent.every((digest) => store.has(digest))
    })
  }
  // A deletion that was still under way leaves the rest to the next round.
  let round = rounds
  await until('the old batches have left all stores', async () => {
    round += 1
    await cleanup(round)
    const stores = await Promise.all(nodes.map((node) => node.readStore()))
    return stores.every((store) => old.every((digest) => !store.has(digest)))
  })
  for (const node of nodes) {
    const stored = await node.metric('narval_batches_stored_total')
    const deleted = await node.metric('narval_batches_deleted_total')
    expect(deleted).toBeGreaterThan(stored / 2)
  }
  // Three times the rounds, and the file has not grown with them: what is freed is used again.
  expect(fileBytes()).toBeLessThan(2 * settledFileBytes)
  // What is kept takes less than a segment.
  for (const { store } of nodes) {
    expect(segmentFiles(store).length).toBeLessThanOrEqual(2 + SEGMENTS_SLACK + SEGMENTS_SPARE_MAX)
  }
})
