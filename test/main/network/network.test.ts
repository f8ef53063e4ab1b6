/** The network of a worker over real libp2p connections, with limits that a test can reach. */
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'
import { HostNames } from '../../../src/main/names/host-names.js'
import { Admission } from '../../../src/main/network/admission.js'
import { Gate } from '../../../src/main/network/gate.js'
import { createLibp2pNode } from '../../../src/main/network/libp2p-node.js'
import { Network } from '../../../src/main/network/network.js'
import { PeerTable } from '../../../src/main/network/peer-table.js'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../../src/shared/config/network-key.js'
import { PROTOCOL_VERSION } from '../../../src/shared/constants.js'
import { signer } from '../../../src/shared/crypto/ed25519.js'
import { ACK_LEVELS } from '../../../src/shared/wire/ack.js'
import { encodeHello } from '../../../src/shared/wire/hello.js'
import { checkHello } from '../../../src/shared/wire/hello-check.js'
import { freePorts } from '../../support/free-ports.js'
import { Libp2pPeer } from '../../support/libp2p-peer.js'
import { until } from '../../support/until.js'

const STRANGER_PLACES = 4

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const allKeys = [1, 2, 3, 4]
  .map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))

/** A network of the authority with this index, and what happened to it. */
async function networkOf(ownIndex: number, committee: ReturnType<typeof parseCommittee>, names = new HostNames()) {
  const keys = allKeys[ownIndex]!
  const own = committee.worker(ownIndex, 0).workerToWorker
  const peers = new PeerTable(committee, ownIndex, 0)
  const listen = { host: '127.0.0.1', port: own.port }
  const refused: string[] = []
  const members = peers.peers.map(({ index }) => ({ index, host: '127.0.0.99' }))
  const gate = new Gate(
    {
      // Nobody of the committee is where the connections of this test come from: all are strangers.
      admission: new Admission({ members, strangerPlaces: STRANGER_PLACES, sourcePlaces: STRANGER_PLACES }),
      nowMs: () => performance.now(),
      memberOf: (peerId) => peers.known(peerId)?.index,
    },
    { onRefused: (reason) => refused.push(reason) },
  )
  const node = await createLibp2pNode({
    networkKeySeed: deriveNetworkKeySeed(keys.seed, 0),
    listen,
    authorities: 4,
    admits: () => true,
    gate,
  })
  const digest = committeeDigest(committee)
  const network = new Network(
    {
      node,
      listen,
      names,
      peers,
      log: { error() {}, warn() {}, info() {}, debug() {}, trace() {} },
      ownKey: keys.publicKey,
      ackLevel: ACK_LEVELS.durable,
      ownHello: () =>
        encodeHello(
          {
            protocolVersion: PROTOCOL_VERSION,
            authority: keys.publicKey,
            workerId: 0,
            peerId: node.peerId.toString(),
            addresses: [own.multiaddr],
            committeeDigest: digest,
            timeMs: Date.now(),
            nodeVersion: 'test',
            batchBytesMax: 500_000,
            ackLevel: ACK_LEVELS.durable,
          },
          signer(keys.seed),
        ),
      checkHello: (hello, connectionPeerId) =>
        checkHello(hello, {
          committee,
          committeeDigest: digest,
          workerId: 0,
          connectionPeerId,
          ownAuthority: keys.publicKey,
          protocolVersion: PROTOCOL_VERSION,
          batchBytesMax: 500_000,
          nowMs: Date.now(),
          namedPeerId: () => undefined,
          lastSeenTimeMs: () => undefined,
        }),
      gate,
    },
    {
      onPeerConnected() {},
      onPeerLost() {},
      onStream() {},
      onRefused: (reason) => refused.push(reason),
    },
  )
  await network.start()
  closers.push(() => network.close())
  return { network, peers, refused, node }
}

async function committeeOfFour() {
  return parseCommittee(
    localCommittee(
      allKeys.map(({ name }) => name),
      1,
      await freePorts(20),
    ),
    'test',
  )
}

test('strangers replace each other only: a peer that we dial and one that dials us get through', async () => {
  const committee = await committeeOfFour()
  const ours = await networkOf(0, committee)
  const address = committee.worker(0, 0).workerToWorker.multiaddr
  const strangers: Connection[] = []
  for (let i = 0; i < STRANGER_PLACES + 2; i += 1) {
    const seed = new Uint8Array(32).fill(60 + i)
    const stranger = await Libp2pPeer.start({ keys: allKeys[1]!, committee, networkKeySeed: seed }, new Uint8Array(32))
    closers.push(() => stranger.stop())
    strangers.push(await stranger.dial(address))
  }
  // They are through noise and say no hello. The oldest are gone, and counted.
  await until('two have lost their places', () => strangers.filter(({ status }) => status !== 'open').length === 2)
  expect(strangers.slice(0, 2).map(({ status }) => status)).not.toContain('open')
  expect(ours.refused).toEqual(['evicted-hello', 'evicted-hello'])

  const port = committee.worker(3, 0).workerToWorker.port
  const peer = await Libp2pPeer.start({ keys: allKeys[3]!, committee, port }, new Uint8Array(32))
  closers.push(() => peer.stop())
  await until('we have dialled the peer', () => ours.peers.at(3)!.connections.length === 1)
  const honest = await Libp2pPeer.start({ keys: allKeys[2]!, committee }, new Uint8Array(32))
  closers.push(() => honest.stop())
  await honest.connect(address)
  await until('a peer can connect', () => ours.peers.at(2)!.connections.length === 1)

  await until('the strangers are gone', () => strangers.every(({ status }) => status !== 'open'))
  expect(ours.refused).toHaveLength(STRANGER_PLACES + 2)
  expect(new Set(ours.refused)).toEqual(new Set(['evicted-hello', 'hello-timeout']))
  expect(ours.peers.at(2)!.connections.length + ours.peers.at(3)!.connections.length).toBe(2)
})

test('two that dial each other at once end with a verified connection, and lose it together', async () => {
  const committee = await committeeOfFour()
  // The one with the greater key waits for the other; started later, it dials at the same time as the other's retry.
  const first = await networkOf(0, committee)
  const second = await networkOf(1, committee)
  const [theirs, ours] = [first.peers.at(1)!, second.peers.at(0)!]
  await until('they are connected', () => theirs.connections.length > 0 && ours.connections.length > 0)

  for (let i = 0; i < 10; i += 1) {
    const addresses = [1, 0].map((index) => committee.worker(index, 0).workerToWorker.multiaddr)
    await Promise.allSettled([
      first.node.dial(multiaddr(addresses[0]!), { force: true }),
      second.node.dial(multiaddr(addresses[1]!), { force: true }),
    ])
  }
  await until('all hellos are over', () => theirs.connections.length === ours.connections.length)
  expect(theirs.connections.length).toBeLessThanOrEqual(4)
  expect(theirs.connections.length).toBeGreaterThan(0)
  expect(first.refused).toEqual([])
  expect(second.refused).toEqual([])

  first.network.drop(theirs, 'the test drops it')
  expect(theirs.connections).toHaveLength(0)
  await until('the other has noticed', () => ours.connections.every(({ status }) => status === 'open'))
  await until('they are connected again', () => theirs.connections.length > 0 && ours.connections.length > 0)
})

test('a peer that the committee file names is found where the name leads now, and while the resolver hangs', async () => {
  const file = localCommittee(
    allKeys.map(({ name }) => name),
    1,
    await freePorts(20),
  )
  const entry = file.authorities[allKeys[3]!.name]!.workers['0']! as { worker_to_worker: string }
  entry.worker_to_worker = entry.worker_to_worker.replace('127.0.0.1', 'worker-3')
  const committee = parseCommittee(file, 'test')
  const { port } = committee.worker(3, 0).workerToWorker
  // Its container has this address no more, and nobody listens there.
  let answer = async (): Promise<readonly string[]> => ['127.0.0.77']
  let asked = 0
  const names = new HostNames({
    lookup: (name) => {
      if (name === 'worker-3') asked += 1
      return answer()
    },
  })
  const { peers } = await networkOf(0, committee, names)
  const peer = await Libp2pPeer.start({ keys: allKeys[3]!, committee, port }, new Uint8Array(32))
  await until('the name was asked about', () => asked >= 2)
  expect(peers.at(3)!.connections).toHaveLength(0)
  answer = async () => ['127.0.0.78', '127.0.0.1']
  await until('the peer is found', () => peers.at(3)!.connections.length === 1)

  answer = () => new Promise(() => {})
  await peer.stop()
  await until('the peer is lost', () => peers.at(3)!.connections.length === 0)
  const again = await Libp2pPeer.start({ keys: allKeys[3]!, committee, port }, new Uint8Array(32))
  closers.push(() => again.stop())
  await until('the peer is found where it was', () => peers.at(3)!.connections.length === 1)
})
