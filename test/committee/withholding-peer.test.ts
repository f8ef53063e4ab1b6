import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { testCommittee, until } from '../support/committee.js'
import { Libp2pPeer } from '../support/libp2p-peer.js'

const RETENTION_ROUNDS = 100

it('a peer that ACKs all but one batch, on each of its streams, does not keep the primary from being told of it', async () => {
  const committee = await testCommittee({
    parameters: { ackTimeoutMs: 3_000, gcDepthRounds: RETENTION_ROUNDS / 2, retentionRounds: RETENTION_ROUNDS },
  })
  const { keys, workerPort: port } = committee.node(3)
  const author = committee.node(0)
  const peer = await Libp2pPeer.start(
    { keys, committee: committee.committee, port, batchBytesMax: 50_000 },
    author.keys.publicKey,
  )
  onTestFinished(() => peer.stop())
  let withheld: bigint | undefined
  peer.behaviour.onBatch = (batch) => {
    withheld ??= batch.sequence
    if (batch.sequence !== withheld) void peer.acknowledge(batch)
  }
  await committee.start(0, 1, 2)
  await until('all are connected', async () => (await author.metric('narval_peer_connected')) === 3)
  await author.primary.close()
  // What it answers never stops: it is not silent.
  const load = author.load(1, 300)
  await until('the peer has a batch, and others', () => peer.batches.length > 5)
  // The primary may be so fast that after this time a peer may have deleted its copies.
  await sleep(1_000)
  await author.primary.open()

  const digest = Buffer.from(peer.ackOf(peer.batches[0]!).digest).toString('base64')
  await until('the primary is told of the batch', () => author.primary.own.has(digest))
  expect(await author.metric('narval_batches_renewed_total')).toBeGreaterThan(0)
  expect(author.log).toMatch(/Closing the connection to .*: (an ACK is missing|no ACK of batch)/)
  // It comes back, gets the batch again, and withholds its ACK again.
  await until('it was sent the batch twice', () => {
    return peer.batches.filter(({ sequence }) => sequence === withheld).length >= 2
  })
  const before = author.primary.own.size
  await until('the others go on', () => author.primary.own.size > before + 20)
  await load.stop()
  await until('all of the load is certified', async () => {
    return (await author.metric('narval_transactions_certified_total')) === load.sent.length
  })
  const certified = await author.metric('narval_batches_certified_total')
  await until('the primary is told of all', () => author.primary.own.size === certified)
})
