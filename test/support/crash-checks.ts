/** What must hold of the stores of a committee whose nodes were killed. */
import { expect } from 'vitest'
import type { TestLoad } from './client.js'
import { type TestCommittee, type TestNode, until } from './committee.js'
import { numbersIn, type StoredBatch } from './stores.js'

/** Up to this long after its load has begun to be certified, a node is killed. */
export const KILL_WITHIN_MS = 1500

export type Stores = ReadonlyMap<TestNode, ReadonlyMap<string, StoredBatch>>

export async function readStores(nodes: readonly TestNode[]): Promise<Stores> {
  return new Map(await Promise.all(nodes.map(async (node) => [node, await node.readStore()] as const)))
}

/** Each worker's sequences, over all stores: one batch each. Returns them in order. */
export function sequencesOf(author: TestNode, stores: Stores): bigint[] {
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

export function ownBatches(node: TestNode, store: ReadonlyMap<string, StoredBatch>): string[] {
  return [...store].filter(([, { author }]) => author === node.name).map(([digest]) => digest)
}

/** What the primaries were told so far. */
export interface Reports {
  readonly own: readonly string[]
  readonly others: readonly string[]
}

export function reportsOf(nodes: readonly TestNode[]): ReadonlyMap<TestNode, Reports> {
  return new Map(
    nodes.map((node) => [node, { own: [...node.primary.own.keys()], others: [...node.primary.others.keys()] }]),
  )
}

/** What was reported as certified is in the stores of a quorum; what was reported as stored is stored. */
export function checkNothingLost(
  committee: TestCommittee,
  reports: ReadonlyMap<TestNode, Reports>,
  stores: Stores,
): void {
  const { quorumThreshold } = committee.committee
  for (const [node, { own, others }] of reports) {
    for (const digest of own) {
      const holders = [...stores.values()].filter((store) => store.has(digest))
      expect(holders.length, `${digest} of node ${node.index}`).toBeGreaterThanOrEqual(quorumThreshold)
    }
    const lost = others.filter((digest) => !stores.get(node)!.has(digest))
    expect(lost, `at node ${node.index}`).toEqual([])
  }
}

/** No transaction is in two batches, and none that is in a store was not sent. */
export function checkTransactions(author: TestNode, store: ReadonlyMap<string, StoredBatch>, load: TestLoad): void {
  const numbers = ownBatches(author, store).flatMap((digest) => numbersIn(store.get(digest)!.bytes))
  const sent = new Set(load.sent)
  expect(new Set(numbers).size).toBe(numbers.length)
  expect(numbers.filter((number) => !sent.has(number))).toEqual([])
}

/** All own batches in the node's store are reported, sooner or later. */
export async function reportsAll(node: TestNode): Promise<void> {
  await until(`node ${node.index} has reported all of its own batches`, async () => {
    return ownBatches(node, await node.readStore()).every((digest) => node.primary.own.has(digest))
  })
}
