import type { Stream } from '@libp2p/interface'
import { expect, it, onTestFinished } from 'vitest'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { type TestNode, testCommittee, until } from '../support/committee.js'
import { Libp2pPeer, peerIdOfSeed } from '../support/libp2p-peer.js'

const OWN_SLOTS = 8
const ACK_TIMEOUT_MS = 2000

/** A batch stream that a worker opened to the silent peer. */
interface Taken {
  readonly peerId: string | undefined
  readonly stream: Stream
  bytes: number
}

it('a peer that never ACKs does not delay a quorum of the others, and is dialled again after each ack_timeout', async () => {
  const committee = await testCommittee({ parameters: { ownSlots: OWN_SLOTS, ackTimeoutMs: ACK_TIMEOUT_MS } })
  const { keys, workerPort: port } = committee.node(3)
  const silent = await Libp2pPeer.start(
    { keys, committee: committee.committee, port, batchBytesMax: 50_000 },
    committee.node(0).keys.publicKey,
  )
  onTestFinished(() => silent.stop())
  const taken: Taken[] = []
  silent.behaviour.onBatchStream = (stream) => {
    const connection = silent.node.getConnections().find(({ streams }) => streams.includes(stream))
    const entry: Taken = { peerId: connection?.remotePeer.toString(), stream, bytes: 0 }
    taken.push(entry)
    stream.addEventListener('message', ({ data }) => {
      entry.bytes += data.byteLength
    })
  }
  const takenFrom = async (node: TestNode): Promise<Taken[]> => {
    const peerId = await peerIdOfSeed(deriveNetworkKeySeed(node.keys.seed, 0))
    return taken.filter((entry) => entry.peerId === peerId && entry.bytes > 0)
  }
  await committee.start(0, 1, 2)
  const loads = committee.running.map((node) => node.load())

  for (const node of committee.running) {
    let watched: { stream: Stream; before: number } | undefined
    await until(`node ${node.index} certifies twice its slots while one stream stays unanswered`, async () => {
      const last = (await takenFrom(node)).at(-1)
      if (last?.stream.status !== 'open') return false
      if (watched?.stream !== last.stream) watched = { stream: last.stream, before: node.primary.own.size }
      return node.primary.own.size >= watched.before + 2 * OWN_SLOTS
    })
  }
  // Over several connections, each ended for its silence, slots do not run out.
  for (const node of committee.running) {
    await until(`node ${node.index} has dialled again twice`, async () => (await takenFrom(node)).length >= 3)
    const [first, second] = await takenFrom(node)
    expect([first!.stream.status, second!.stream.status]).not.toContain('open')
    await until(`node ${node.index} has said why`, () =>
      /Closing the connection to .*: no ACK for \d+ ms, at most 2000/.test(node.log),
    )
    const before = node.primary.own.size
    await until(`node ${node.index} goes on`, () => node.primary.own.size >= before + 2 * OWN_SLOTS)
  }
  await Promise.all(loads.map((load) => load.stop()))
  for (const [index, node] of committee.running.entries()) {
    await until(`node ${node.index} has certified all of its load`, async () => {
      return (await node.metric('narval_transactions_certified_total')) === loads[index]!.sent.length
    })
    expect(await node.metric('narval_slots_free', { arena: 'own' })).toBeGreaterThan(0)
    await until('nothing is in flight', async () => (await node.metric('narval_batches_in_flight')) === 0)
  }
})
