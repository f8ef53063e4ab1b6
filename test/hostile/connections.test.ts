/** Connections that come and go, at once and in storms, against a real worker. */
import { connect } from 'node:net'
import type { Connection } from '@libp2p/interface'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CONNECTIONS_PER_AUTHORITY_MAX } from '../../src/main/network/limits.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import type { Libp2pPeer } from '../support/libp2p-peer.js'
import { frame } from '../support/raw-stream.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

let node: WorkerUnderTest
let mallory: Libp2pPeer

beforeAll(async () => {
  node = await WorkerUnderTest.start()
  await node.honest(1, 2)
  await node.certifiesOne()
})
afterAll(() => node.close())

/** Of the worker's batch streams to a peer, those that are open. */
const openStreams = (peer: Libp2pPeer): number => peer.batchStreams.filter(({ isOpen }) => isOpen).length

/** The worker sends each batch once, on one stream, and takes what comes. */
async function oneStreamEachWay(peer: Libp2pPeer, connection: Connection): Promise<void> {
  await until('there is one stream to it', () => openStreams(peer) === 1)
  const before = peer.batches.length
  await node.certifiesOne()
  await peer.batchesCame(before + 1)
  await node.certifiesOne()
  await peer.batchesCame(before + 2)
  const sequences = peer.batches.slice(before).map(({ sequence }) => sequence)
  expect(new Set(sequences).size).toBe(sequences.length)
  expect(openStreams(peer)).toBe(1)
  await node.accepts(await peer.openBatches(connection))
  await node.slotsAllFree()
}

test('a peer that reconnects fifty times, in every way, ends with one stream each way, and nothing is lost', async () => {
  mallory = await node.peer(3)
  const bytes = frame(FRAME_TYPES.batch, node.batch(200_000))
  for (let i = 0; i < 50; i += 1) {
    const connection = await mallory.connect(node.address)
    if (i % 3 === 0) await node.worker.submit(new Uint8Array(100).fill(i))
    if (i % 2 === 0) {
      const stream = await mallory.openBatches(connection)
      await stream.send(bytes.subarray(0, 1_000 * (i + 1)))
    }
    if (i % 5 === 0) await connection.close()
    else if (i % 5 !== 4) connection.abort(new Error('the test aborts'))
    // And sometimes it is left, for the next to take its place.
  }
  const connection = await mallory.connect(node.address)
  await until('the worker has closed what is too much', () => {
    const open = mallory.node.getConnections().filter(({ status }) => status === 'open')
    return open.length <= CONNECTIONS_PER_AUTHORITY_MAX
  })
  expect(connection.status).toBe('open')
  await oneStreamEachWay(mallory, connection)
  await until('all own slots are free', async () => (await node.metric('narval_slots_free', { arena: 'own' })) === 32)
  expect(await node.metric('narval_peer_connected')).toBe(3)
  for (const reason of ['hello-stale', 'hello-unexpected', 'stream-before-hello', 'too-many-connections']) {
    expect(await node.refusals('peer', reason)).toBe(0)
  }
  await node.dismiss(mallory)
  await until('it is gone', async () => (await node.metric('narval_peer_connected')) === 2)
})

test('a peer that dials while it is dialled has one stream each way, whichever connection it is on', async () => {
  const port = Number(node.addressOf(3).split('/').at(-1))
  mallory = await node.peer(3, { port })
  // The worker dials it as soon as it listens, with a pause that has grown; we dial until both have connected.
  const connections: Connection[] = []
  await until('both directions are there', async () => {
    if (connections.length < CONNECTIONS_PER_AUTHORITY_MAX - 1) connections.push(await mallory.connect(node.address))
    const open = mallory.node.getConnections().filter(({ status }) => status === 'open')
    for (const { direction } of open) if (direction === 'inbound') return true
    // As long as we are connected the worker does not dial.
    for (const connection of connections.splice(0)) await connection.close()
    return false
  })
  const connection = connections.find(({ status }) => status === 'open') ?? (await mallory.connect(node.address))
  await oneStreamEachWay(mallory, connection)
})

test('a new network key of an authority replaces its old one, whose connections are closed', async () => {
  await node.dismiss(mallory)
  await until('it is gone', async () => (await node.metric('narval_peer_connected')) === 2)
  const old = await node.peer(3)
  const oldConnection = await old.connect(node.address)
  const renewed = await node.peer(3, { networkKeySeed: new Uint8Array(32).fill(77) })
  const connection = await renewed.connect(node.address, { timeMs: Date.now() + 60_000 })
  await until('the old one is closed', () => oldConnection.status !== 'open')
  await oneStreamEachWay(renewed, connection)
  // The old key is stale from now on, even when its owner dials again.
  await node.counts(
    'peer',
    'hello-stale',
    async () => {
      await old.connect(node.address).catch(() => {})
    },
    1,
  )
  expect(connection.status).toBe('open')
})

test('connections that are opened and left in the middle of a handshake cost nothing', async () => {
  const [, , host, , port] = node.address.split('/')
  const sockets = Array.from({ length: 100 }, (_, i) => {
    const socket = connect({ host: host!, port: Number(port) })
    socket.on('error', () => {})
    if (i % 3 === 1) socket.write('GET / HTTP/1.1\r\n\r\n')
    if (i % 3 === 2) socket.write(Buffer.concat([Buffer.from([19]), Buffer.from('/multistream/1.0.0\n')]))
    return socket
  })
  await node.certifiesOne()
  for (const socket of sockets) socket.destroy()
  const peer = await node.peer(1, { networkKeySeed: new Uint8Array(32).fill(78) })
  await until('others can connect', async () => {
    const connection = await peer.connect(node.address, { timeMs: Date.now() + 60_000 }).catch(() => undefined)
    return connection !== undefined
  })
  await node.certifiesOne()
})
