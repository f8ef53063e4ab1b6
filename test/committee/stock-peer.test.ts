/** A worker among js-libp2p nodes with default options, which know nothing of narval's windows. */
import type { Stream } from '@libp2p/interface'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../src/shared/wire/sync-messages.js'
import { digestOf, type Libp2pPeer } from '../support/libp2p-peer.js'
import { frame, RawStream } from '../support/raw-stream.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

/** Bytes of a transaction that fills a batch of 500 kB: twice yamux's first window, nearly. */
const TRANSACTION_BYTES = 499_000
const BATCHES = 8

describe.each(['dials the worker', 'is dialled by the worker'])('a stock node that %s', (how) => {
  let node: WorkerUnderTest
  let peers: Libp2pPeer[]
  const sent: Uint8Array[] = []

  beforeAll(async () => {
    node = await WorkerUnderTest.start()
    // Two others are a quorum with the worker's own: each batch needs the stock nodes.
    if (how === 'dials the worker') {
      peers = await Promise.all([1, 2].map((index) => node.peer(index, { stock: true })))
      for (const peer of peers) await peer.connect(node.address)
    } else {
      const portOf = (index: number): number => Number(node.addressOf(index).split('/').at(-1))
      peers = await Promise.all([1, 2].map((index) => node.peer(index, { stock: true, port: portOf(index) })))
    }
    await node.certifiesOne()
  })
  afterAll(() => node.close())

  test('takes batches of 500 kB, and its ACKs certify them', async () => {
    const before = node.certified.length
    const came = peers.map(({ batches }) => batches.length)
    for (let i = 0; i < BATCHES; i += 1) await node.worker.submit(new Uint8Array(TRANSACTION_BYTES).fill(i))
    await until('all are certified', () => node.certified.length === before + BATCHES)
    for (const [index, peer] of peers.entries()) {
      await peer.batchesCame(came[index]! + BATCHES)
      const large = peer.batches.filter(({ bytes }) => bytes.length > TRANSACTION_BYTES)
      expect(large).toHaveLength(BATCHES)
      for (const [i, { bytes }] of large.entries()) expect(bytes.subarray(100).every((byte) => byte === i)).toBe(true)
    }
  })

  test('sends batches of 500 kB, and gets the ACKs of all', async () => {
    const [peer] = peers as [Libp2pPeer]
    const stream = await peer.openBatches(peer.node.getConnections()[0]!)
    for (let i = 0; i < BATCHES; i += 1) sent.push(node.batch(TRANSACTION_BYTES))
    // All at once, as one that leaves it to its muxer to wait.
    for (const batch of sent) stream.stream.send(frame(FRAME_TYPES.batch, batch))
    await until('all are acknowledged', () => stream.acks.length === BATCHES)
    const digests = sent.map((batch) => Buffer.from(digestOf(batch, peer.keys.publicKey)).toString('hex')).sort()
    expect(stream.acks.map(({ digest }) => Buffer.from(digest).toString('hex')).sort()).toEqual(digests)
    expect(stream.acks.every(({ status }) => status === 0)).toBe(true)
  })

  test('asks for them, and gets all of them, many times its window', async () => {
    const [author, asker] = peers as [Libp2pPeer, Libp2pPeer]
    const digests = sent.map((batch) => digestOf(batch, author.keys.publicKey))
    const stream = await asker.openSync(asker.node.getConnections()[0]!)
    await stream.sendFrame(FRAME_TYPES.request, encodeDigests(digests))
    await until('the reply is whole', () => stream.frames.at(-1)?.type === FRAME_TYPES.missing)
    expect(decodeDigests(stream.frames.at(-1)!.payload)).toEqual([])
    const found = stream.frames.slice(0, -1)
    expect(found).toHaveLength(BATCHES)
    for (const [i, { payload }] of found.entries())
      expect(Buffer.from(sent[i]!).equals(payload.subarray(64))).toBe(true)
    await stream.stream.close()
  })

  test('is asked for batches that the worker lacks, and all of them come', async () => {
    const [peer] = peers as [Libp2pPeer]
    const author = peer.keys.publicKey
    const batches = Array.from({ length: BATCHES }, () => node.batch(TRANSACTION_BYTES))
    const byDigest = new Map(batches.map((batch) => [Buffer.from(digestOf(batch, author)).toString('hex'), batch]))
    const answer = async (taken: Stream): Promise<void> => {
      const stream = new RawStream(taken)
      for (const digest of decodeDigests((await stream.framesCame(1))[0]!.payload)) {
        const batch = byDigest.get(Buffer.from(digest).toString('hex'))!
        stream.stream.send(frame(FRAME_TYPES.found, Buffer.concat([digest, author, batch])))
      }
      stream.stream.send(frame(FRAME_TYPES.missing, encodeDigests([])))
      await taken.close()
    }
    peer.behaviour.onSyncStream = (taken) => void answer(taken)
    const digests = [...byDigest.keys()].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))
    node.worker.toWorker({ type: 'Synchronize', digests, target: author })
    for (const digest of digests) {
      await until('it is stored', async () => (await node.worker.read(digest)) !== undefined)
    }
  })

  test('causes no refusal', async () => {
    expect(node.lines.filter((line) => line.startsWith('Refused '))).toEqual([])
  })
})
