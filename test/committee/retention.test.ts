/**
 * What is certified and reported is held by a quorum, however long primaries or workers were away.
 *
 * Runs in pairs: committees that have a few batches, and wait for each other.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type TestCommittee, type TestNode, testCommittee, until } from '../support/committee.js'

const RETENTION_ROUNDS = 100
const PARAMETERS = { gcDepthRounds: 50, retentionRounds: RETENTION_ROUNDS }
/** As fast as the rounds of a primary can be believed to be. */
const ROUND_MS = 10
const BATCHES = 5

/** Has `author` make so many batches; `isDone` says whether so many are where they should be. */
async function seal(author: TestNode, isDone: (count: number) => Promise<boolean>): Promise<void> {
  const client = await author.client()
  for (let count = 1; count <= BATCHES; count += 1) {
    await client.send(3, 500)
    await until(`batch ${count} of node ${author.index}`, () => isDone(count))
  }
  await client.end()
}

async function cleanups(nodes: readonly TestNode[], from: number, to: number): Promise<void> {
  for (let round = from; round <= to; round += 1) {
    for (const { primary } of nodes) await primary.send({ type: 'Cleanup', round: BigInt(round) })
    await sleep(ROUND_MS)
  }
}

/** Digests of the author's batches that this node has. */
async function heldOf(author: TestNode, node: TestNode): Promise<string[]> {
  const store = await node.readStore()
  return [...store].filter(([, batch]) => batch.author === author.name).map(([digest]) => digest)
}

async function allGone(author: TestNode, nodes: readonly TestNode[]): Promise<void> {
  for (const node of nodes) {
    await until(`node ${node.index} has deleted the batches`, async () => (await heldOf(author, node)).length === 0)
  }
}

/** By each batch that was reported, how many of the workers that run hold it. */
async function holders(committee: TestCommittee, author: TestNode): Promise<number[]> {
  const held = await Promise.all(committee.running.map((node) => heldOf(author, node)))
  return [...author.primary.own.keys()].map((digest) => held.filter((digests) => digests.includes(digest)).length)
}

const certified = (node: TestNode): Promise<number> => node.metric('narval_batches_certified_total')

it.each([
  ['and all workers there', 4, [0]],
  ['and a worker away too, for which slots are held', 3, [0]],
  ['and that of a peer too, and a worker away', 3, [0, 1]],
] as const)(
  'a primary that was away for longer than the retention, %s, is told of what a quorum still holds, each once',
  async (_, workers, away) => {
    const committee = await testCommittee({ parameters: PARAMETERS })
    await committee.start(...[0, 1, 2, 3].slice(0, workers))
    const author = committee.node(0)
    const back = away.map((index) => committee.node(index))
    const others = committee.running.filter((node) => !back.includes(node))
    for (const { primary } of back) await primary.close()
    await seal(author, async (count) => (await certified(author)) >= count)
    await cleanups(others, 1, RETENTION_ROUNDS + RETENTION_ROUNDS / 2)
    await allGone(author, others)

    for (const { primary } of back) await primary.open()
    await until('all are reported', () => author.primary.own.size === BATCHES)
    const quorum = 3
    expect(Math.min(...(await holders(committee, author)))).toBeGreaterThanOrEqual(quorum)
    expect([...author.primary.own.values()]).toEqual(new Array(BATCHES).fill(1))
    expect(await certified(author)).toBe(BATCHES)
    expect(await author.metric('narval_primary_reports_total', { type: 'OurBatch' })).toBe(BATCHES)
    expect(await author.metric('narval_batches_renewed_total')).toBe(BATCHES)
    expect(await author.metric('narval_refusals_total', { kind: 'ack' })).toBe(0)

    // Those that were away make up for the rounds that they have missed. Nothing is deleted for that.
    await until('the reports are delivered', async () => (await author.metric('narval_primary_queue')) === 0)
    await sleep(500)
    await cleanups(back, 1, RETENTION_ROUNDS + RETENTION_ROUNDS / 2)
    await sleep(500)
    expect(Math.min(...(await holders(committee, author)))).toBeGreaterThanOrEqual(quorum)
    // And what comes next is certified and told as ever.
    const client = await author.client()
    await client.send(1, 500)
    await until('a new batch is reported', () => author.primary.own.size === BATCHES + 1)
    expect(await certified(author)).toBe(BATCHES + 1)
  },
)

it('a worker that is killed while its batches are certified anew tells the primary after its restart', async () => {
  const committee = await testCommittee({ parameters: PARAMETERS })
  await committee.start(0, 1, 2)
  const [author, ...peers] = committee.running as [TestNode, ...TestNode[]]
  await author.primary.close()
  await seal(author, async (count) => (await certified(author)) >= count)
  await cleanups(peers, 1, RETENTION_ROUNDS + 1)
  await allGone(author, peers)
  // Without its peer nothing is certified anew: the primary is there, and is not told.
  await peers[1]!.kill()
  await author.primary.open()
  await until('they go out again', async () => (await author.metric('narval_batches_renewed_total')) > 0)
  await sleep(500)
  expect(author.primary.own.size).toBe(0)
  await author.kill()
  await peers[1]!.start()
  await author.start()
  await until('all are reported', () => author.primary.own.size === BATCHES)
  expect(Math.min(...(await holders(committee, author)))).toBe(3)
})

it('with two of four workers away for longer than the retention, no certificate counts copies that are deleted', async () => {
  const committee = await testCommittee({ parameters: PARAMETERS })
  await committee.start(0, 1)
  const [author, other] = committee.running as [TestNode, TestNode]
  await seal(author, async (count) => (await heldOf(author, other)).length === count)
  await until('all ACKs have come', async () => (await author.metric('narval_acks_total')) >= BATCHES)
  await cleanups([author, other], 1, RETENTION_ROUNDS + 1)
  await allGone(author, [other])
  expect(await certified(author)).toBe(0)

  await committee.start(2)
  await until('all are reported', () => author.primary.own.size === BATCHES)
  expect(await holders(committee, author)).toEqual(new Array(BATCHES).fill(3))
  expect(await author.metric('narval_acks_expired_total')).toBeGreaterThanOrEqual(BATCHES)
  expect(await certified(author)).toBe(BATCHES)
  expect(await author.metric('narval_refusals_total', { kind: 'ack' })).toBe(0)
})
