/**
 * The reference's worker cases `synchronize` and `batch_reply`, on whole workers.
 *
 * Runs in pairs: committees that have a few batches, and wait for each other.
 */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../src/shared/wire/sync-messages.js'
import { digestBytes, TestCommittee, type TestNode, testCommittee, until } from '../support/committee.js'
import { Libp2pPeer } from '../support/libp2p-peer.js'

/** Has `author` certify so many batches, each of a few transactions; returns their digests. */
async function certify(author: TestNode, batches: number): Promise<string[]> {
  const client = await author.client()
  const before = new Set(author.primary.own.keys())
  for (let count = 1; count <= batches; count += 1) {
    await client.send(3, 500)
    await until(
      `batch ${count} of node ${author.index} is reported`,
      () => author.primary.own.size >= before.size + count,
    )
  }
  await client.end()
  return [...author.primary.own.keys()].filter((digest) => !before.has(digest))
}

/** What the author has reported it does not send again after a restart: a node that was down has missed it for good. */
async function forget(author: TestNode): Promise<void> {
  expect(await author.stop()).toEqual({ code: 0, signal: null })
  await author.start()
}

function synchronize(node: TestNode, digests: readonly string[], target: TestNode, from?: string): Promise<void> {
  const message = { type: 'Synchronize', digests: digests.map(digestBytes), target: target.keys.publicKey } as const
  return node.primary.send(message, from)
}

function reported(node: TestNode, digests: readonly string[]): boolean {
  return digests.every((digest) => node.primary.others.has(digest))
}

describe('synchronize', () => {
  it('a batch that a node missed is fetched from its author, stored, and reported as OthersBatch', async () => {
    const committee = await testCommittee()
    await committee.start(0, 1, 2)
    const [author, late] = [committee.node(0), committee.node(3)]
    const digests = await certify(author, 3)
    await forget(author)
    await committee.start(3)
    expect((await late.readStore()).size).toBe(0)
    await synchronize(late, digests, author)
    await until('the missed batches are reported', () => reported(late, digests))
    const [authors, fetched] = [await author.readStore(), await late.readStore()]
    for (const digest of digests) {
      expect(fetched.get(digest)!.author).toBe(author.name)
      expect(Buffer.compare(fetched.get(digest)!.bytes, authors.get(digest)!.bytes)).toBe(0)
    }

    // What is stored is reported again, at once and without asking anybody.
    const [digest] = digests
    await author.kill()
    const before = late.primary.others.get(digest!)!
    await synchronize(late, [digest!], author)
    await until('it is reported again', () => late.primary.others.get(digest!)! > before)
  })

  it('with the author dead, others are asked after sync_retry_delay', async () => {
    const committee = await testCommittee()
    await committee.start(0, 1, 2)
    const [author, late] = [committee.node(0), committee.node(3)]
    const digests = await certify(author, 3)
    await committee.node(1).primary.close()
    await author.kill()
    await committee.start(3)
    await synchronize(late, digests, author)
    await until('the missed batches are reported', () => reported(late, digests))
  })

  it('a digest that nobody has is asked for until Cleanup passes gc_depth, and no longer', async () => {
    // The Helper's log says how many digests of a request it does not have: that tells the two groups apart.
    const gcDepthRounds = 10
    const committee = await testCommittee({ parameters: { gcDepthRounds }, verbosity: '-vvv' })
    await committee.start(0, 1, 3)
    const [target, other, asking] = [committee.node(0), committee.node(1), committee.node(3)]
    const unknown = (count: number): string[] => Array.from({ length: count }, () => encodeBase64(randomBytes(32)))
    const asked = (node: TestNode, count: number): number => node.log.split(`, ${count} are not here`).length - 1
    const times = (node: TestNode, count: number, atLeast: number): Promise<unknown> =>
      until(`node ${node.index} is asked for ${count} digests ${atLeast} times`, () => asked(node, count) >= atLeast)

    await synchronize(asking, unknown(5), target)
    await times(target, 5, 1)
    await times(other, 5, 2)
    // One round short of gc_depth: it goes on.
    await asking.primary.send({ type: 'Cleanup', round: BigInt(gcDepthRounds - 1) })
    await times(other, 5, asked(other, 5) + 2)

    await asking.primary.send({ type: 'Cleanup', round: BigInt(gcDepthRounds) })
    await synchronize(asking, unknown(3), target)
    await times(other, 3, 2)
    const [before, beforeTarget] = [asked(other, 5), asked(target, 5)]
    await times(other, 3, asked(other, 3) + 4)
    expect([asked(other, 5), asked(target, 5)]).toEqual([before, beforeTarget])
    expect([asked(other, 8), asked(target, 8)]).toEqual([0, 0])
  })

  it.each([
    ['and one of them is away', true],
    ['and all are there', false],
  ])(
    "Synchronize for our own key from another authority's primary pushes the batches again to the others, %s",
    async (_, isOneAway) => {
      const committee = await testCommittee()
      await committee.start(0, 1, 2)
      const [author, away, late] = [committee.node(0), committee.node(1), committee.node(3)]
      // Many times what may be on its way at once.
      const digests = await certify(author, 24)
      await forget(author)
      if (isOneAway) await away.kill()
      await committee.start(3)
      expect((await late.readStore()).size).toBe(0)
      await synchronize(author, digests, author, '127.0.0.2')
      await until('the node that missed them reports them', () => reported(late, digests))
      const stored = await late.readStore()
      expect(digests.every((digest) => stored.get(digest)?.author === author.name)).toBe(true)
      expect(author.primary.own.size).toBe(24)
    },
  )

  it('one Synchronize for our own key is enough, though the node that lacks the batches is not connected', async () => {
    const committee = await testCommittee()
    await committee.start(0, 1, 2)
    const [author, late] = [committee.node(0), committee.node(3)]
    const digests = await certify(author, 12)
    await forget(author)
    // They go to the others again, and to node 3 when it is there: a reference primary asks once.
    const sentBytes = (): Promise<number> => author.metric('narval_peer_bytes_total', { direction: 'out' })
    const sent = await sentBytes()
    await synchronize(author, digests, author, '127.0.0.2')
    await until('they go to the others', async () => (await sentBytes()) > sent + 12 * 1_000)
    await until('nothing is on its way', async () => (await author.metric('narval_batches_in_flight')) === 0)
    await committee.start(3)
    await until('the node that missed them reports them', () => reported(late, digests))
  })

  it('Synchronize for our own key is heard while the batch is still held for a peer that is away', async () => {
    const committee = await testCommittee()
    await committee.start(0, 1, 2)
    const [author, lost] = [committee.node(0), committee.node(1)]
    // Node 3 is away, so the author's slots hold these for it.
    const digests = await certify(author, 3)
    await committee.spread(author, digests)
    await lost.kill()
    rmSync(lost.store, { recursive: true })
    await lost.start()
    expect((await lost.readStore()).size).toBe(0)
    await until('the author is connected to it again', async () => (await author.metric('narval_peer_connected')) >= 2)
    lost.primary.others.clear()
    await until('the node that lost them reports them', async () => {
      await synchronize(author, digests, author, '127.0.0.2')
      return reported(lost, digests)
    })
    expect(await author.metric('narval_refusals_total', { kind: 'ack' })).toBe(0)
  })
})

describe('batch_reply', () => {
  let committee: TestCommittee
  let peer: Libp2pPeer
  beforeAll(async () => {
    committee = await TestCommittee.make()
    await committee.start(0, 1, 2)
    const { keys, workerPort: port } = committee.node(3)
    peer = await Libp2pPeer.start(
      { keys, committee: committee.committee, port, batchBytesMax: 50_000 },
      committee.node(0).keys.publicKey,
    )
  })
  afterAll(async () => {
    await peer?.stop()
    await committee.close()
  })

  it('Helper answers with the batches that it has, whoever made them, and says which it lacks', async () => {
    const [author, helper] = [committee.node(0), committee.node(1)]
    const [digest] = await certify(author, 1)
    const [own] = await certify(helper, 1)
    await committee.spread(author, [digest!])
    const missing = randomBytes(32)
    const connection = await peer.connect(`/ip4/127.0.0.1/tcp/${helper.workerPort}`)
    const stream = await peer.openSync(connection)
    onTestFinished(() => stream.abort())
    await stream.sendFrame(FRAME_TYPES.request, encodeDigests([digestBytes(digest!), missing, digestBytes(own!)]))
    const frames = await stream.framesCame(3)
    expect(frames.map(({ type }) => type)).toEqual([FRAME_TYPES.found, FRAME_TYPES.found, FRAME_TYPES.missing])
    expect(decodeDigests(frames[2]!.payload)).toEqual([new Uint8Array(missing)])
    const store = await author.readStore()
    const expected = [
      { digest: digest!, author: author.keys.publicKey, bytes: store.get(digest!)!.bytes },
      { digest: own!, author: helper.keys.publicKey, bytes: (await helper.readStore()).get(own!)!.bytes },
    ]
    for (const [index, { digest: name, author: key, bytes }] of expected.entries()) {
      expect(Buffer.compare(frames[index]!.payload, Buffer.concat([digestBytes(name), key, bytes]))).toBe(0)
    }
  })
})
