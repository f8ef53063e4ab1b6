/** Primaries as they are: threads, stores, and libp2p over loopback. */
import { expect, test } from 'vitest'
import type { PrimaryNode } from '../../../src/main/primary/primary-node.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { followBatches } from '../../../src/shared/store/primary/follow-commits.js'
import {
  AUTHORITIES,
  committeeOfFour,
  freshDirectory,
  type StartedPrimary,
  startPrimary,
} from '../../support/primary-nodes.js'
import { batchOf } from '../../support/threads/primary-thread.js'
import { until } from '../../support/until.js'

async function firstBatches(directory: string, count: number, { head }: PrimaryNode): Promise<string> {
  const reader = new CommitLogReader(directory)
  const found: string[] = []
  try {
    for await (const { batch, commit } of followBatches(reader, { commit: 0, position: -1 }, { head })) {
      found.push(`${commit.index} ${commit.timestamp} ${batch.author} ${batch.sequence}`)
      if (found.length === count) break
    }
  } finally {
    reader.close()
  }
  return found.join('\n')
}

test('four primaries agree on one order over libp2p, and one that was away catches up', async () => {
  const committee = await committeeOfFour()
  const directories = AUTHORITIES.map(freshDirectory)
  const started: StartedPrimary[] = []
  for (const authority of AUTHORITIES) started.push(await startPrimary(committee, authority, directories[authority]!))
  const tell = async (author: number, sequence: number, to: readonly number[]): Promise<void> => {
    const batch = batchOf(author, sequence)
    const told = to.map((at) => started[at]!.node.client.batch(at === author ? 'own-batch' : 'others-batch', batch))
    await Promise.all(told)
  }
  const logs = (count: number, of = AUTHORITIES): Promise<string[]> =>
    Promise.all(of.map((at) => firstBatches(directories[at]!, count, started[at]!.node)))
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    for (const author of AUTHORITIES) await tell(author, sequence, AUTHORITIES)
  }
  const before = await logs(20)
  expect(new Set(before).size).toBe(1)

  await started[0]!.node.close()
  for (const author of [1, 2, 3]) await tell(author, 6, [1, 2, 3])
  const without = await logs(23, [1, 2, 3])
  expect(new Set(without).size).toBe(1)
  started[0] = await startPrimary(committee, 0, directories[0]!)
  const [after] = await logs(23, [0])
  expect(after).toBe(without[0])
  expect(after!.startsWith(before[0]!)).toBe(true)
  expect(started.flatMap(({ lines }) => lines.filter((line) => line.startsWith('error')))).toEqual([])
})

test('a primary with another rule is refused by name, and the one it called goes on', async () => {
  const committee = await committeeOfFour()
  const [first, second] = [
    await startPrimary(committee, 0, freshDirectory(0)),
    await startPrimary(committee, 1, freshDirectory(1), { rule: 'tusk' }),
  ]
  await until('they have refused each other', () =>
    [first, second].some(({ lines }) =>
      lines.some((line) => /hello-wrong-committee.*the rule and gc_depth/.test(line)),
    ),
  )
  expect(first.node.peers.peers.every(({ connections }) => connections.length === 0)).toBe(true)
})

test.each([10, 19, 1001])('gc_depth %i is refused at the door', async (gcDepth) => {
  await expect(startPrimary(await committeeOfFour(), 0, freshDirectory(0), { gcDepth })).rejects.toMatchObject({
    code: 'ERR_PARAMETERS_MALFORMED',
    message: expect.stringContaining(`20 to 1000 rounds, all of the committee the same; found ${gcDepth}`),
  })
})

test('a thread that dies ends the primary, and its port is free again', async () => {
  const committee = await committeeOfFour()
  const directory = freshDirectory(0)
  const { node } = await startPrimary(committee, 0, directory)
  const { running } = (node as unknown as { threads: { running: Map<string, { terminate(): Promise<void> }> } }).threads
  await running.get('primary')!.terminate()
  await expect(node.stopped).rejects.toMatchObject({ code: 'ERR_THREAD_DIED' })
  await expect(node.client.batch('own-batch', batchOf(0, 1))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await startPrimary(committee, 0, directory)
})
