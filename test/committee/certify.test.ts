import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { NODE_FILE, type TestCommittee, type TestNode, testCommittee, until } from '../support/committee.js'
import { numbersIn, type StoredBatch } from '../support/stores.js'

/** Sends `node` transactions in small batches, in full ones and in between; returns their numbers. */
async function sendVaried(node: TestNode): Promise<number[]> {
  const client = await node.client()
  await client.send(1, 9)
  await until(`the first batch of node ${node.index}`, () => node.primary.own.size >= 1)
  await client.send(300, 512)
  await client.send(3, 49_932)
  await client.send(50, 100)
  await client.end()
  return client.sent
}

/** Waits until as many transactions of `node` are certified as were sent, and its primary was told of their batches. */
async function certified(node: TestNode, transactions: number): Promise<string[]> {
  await until(`${transactions} transactions of node ${node.index} are certified`, async () => {
    return (await node.metric('narval_transactions_certified_total')) >= transactions
  })
  const batches = await node.metric('narval_batches_certified_total')
  await until(`node ${node.index} reports ${batches} batches`, () => node.primary.own.size >= batches)
  expect(await node.metric('narval_transactions_certified_total')).toBe(transactions)
  expect(node.primary.own.size).toBe(batches)
  return [...node.primary.own.keys()]
}

function numbersOf(store: ReadonlyMap<string, StoredBatch>, digests: readonly string[]): number[] {
  return digests.flatMap((digest) => numbersIn(store.get(digest)!.bytes))
}

/** What `node` reported is in all running stores, byte for byte, and holds exactly what it was sent. */
async function checkStores(committee: TestCommittee, node: TestNode, sent: readonly number[]): Promise<void> {
  const digests = [...node.primary.own.keys()]
  await committee.spread(node, digests)
  const own = await node.readStore()
  expect(numbersOf(own, digests).sort((a, b) => a - b)).toEqual(sent)
  for (const other of committee.running) {
    const store = await other.readStore()
    for (const digest of digests) {
      const batch = store.get(digest)
      expect(batch, `${digest} at node ${other.index}`).toBeDefined()
      expect(batch!.author).toBe(node.name)
      expect(Buffer.compare(batch!.bytes, own.get(digest)!.bytes)).toBe(0)
    }
  }
}

describe.each(['stored', 'durable'] as const)('a committee of four at level %s', (ackLevel) => {
  it('certifies everything that clients send, and every store has it, byte for byte', async () => {
    const committee = await testCommittee({ parameters: { ackLevel } })
    await committee.start()
    const sent = await Promise.all(committee.nodes.map((node) => sendVaried(node)))
    await Promise.all(committee.nodes.map((node, index) => certified(node, sent[index]!.length)))
    for (const [index, node] of committee.nodes.entries()) await checkStores(committee, node, sent[index]!)

    const [digest] = committee.node(0).primary.own.keys()
    const raw = execFileSync(process.execPath, [
      NODE_FILE,
      'batch',
      digest!,
      '--store',
      committee.node(3).store,
      '--raw',
    ])
    const store = await committee.node(0).readStore()
    expect(Buffer.compare(raw, store.get(digest!)!.bytes)).toBe(0)
  })
})

describe('a committee of one', () => {
  it('certifies by storing alone', async () => {
    const committee = await testCommittee({ nodes: 1 })
    await committee.start()
    const [node] = committee.nodes
    const sent = await sendVaried(node!)
    await certified(node!, sent.length)
    await checkStores(committee, node!, sent)
    expect(await node!.isHealthy()).toBe(true)
  })
})

describe('a committee of seven', () => {
  it('certifies with two down', async () => {
    const committee = await testCommittee({ nodes: 7 })
    await committee.start(0, 1, 3, 4, 6)
    const sent = await Promise.all(committee.running.map((node) => sendVaried(node)))
    await Promise.all(committee.running.map((node, index) => certified(node, sent[index]!.length)))
    for (const [index, node] of committee.running.entries()) await checkStores(committee, node, sent[index]!)
  })
})
