/** Real nodes of the hash table over loopback: honest ones, and one that lies in every answer. */
import { connect, createServer, type Socket } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { expect, onTestFinished, test } from 'vitest'
import { BootstrapNode } from '../../../src/main/kad/bootstrap-node.js'
import { KAD_PROTOCOL } from '../../../src/main/kad/kad-node.js'
import { KadSearch } from '../../../src/main/kad/kad-search.js'
import { KAD_DIALS_PER_MINUTE, KAD_PLACES_MAX, KAD_SOURCE_PLACES_MAX } from '../../../src/main/kad/limits.js'
import { unsupervised } from '../../../src/main/lib/supervisor.js'
import { HostNames } from '../../../src/main/names/host-names.js'
import { leanNoise } from '../../../src/main/network/lean-noise.js'
import { leanYamux } from '../../../src/main/network/lean-yamux.js'
import { parseLibp2pAddress } from '../../../src/shared/config/address.js'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { signer } from '../../../src/shared/crypto/ed25519.js'
import { type AddressRecord, addressKey, encodeAddressRecord } from '../../../src/shared/wire/address-record.js'
import { freePorts } from '../../support/free-ports.js'
import { until } from '../../support/until.js'

const { identify } = await import('@libp2p/identify')
const { ping } = await import('@libp2p/ping')
const { tcp } = await import('@libp2p/tcp')
// What a liar says it says in the table's own form, which the package keeps to itself.
const modules = new URL('../../../node_modules/@libp2p/', import.meta.url).href
const { Message, MessageType } = await import(`${modules}kad-dht/dist/src/message/dht.js`)
const { Libp2pRecord } = await import(`${modules}record/dist/src/index.js`)
const { pbStream } = await import(`${modules}utils/dist/src/index.js`)

const keys = [1, 2, 3]
  .map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
const committee = parseCommittee({
  authorities: Object.fromEntries(keys.map(({ name }) => [name, { stake: 1, primary: {}, workers: { 0: {} } }])),
})
const digest = committeeDigest(committee)
const silent = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }

async function newBootstrap(bootstrap: string[] = []): Promise<{ node: BootstrapNode; address: string }> {
  const port = await freePorts(1)
  const node = new BootstrapNode({ committee, listen: { host: '127.0.0.1', port }, bootstrap, log: silent })
  const [address] = await node.start()
  onTestFinished(() => node.close())
  return { node, address: address! }
}

interface Searching {
  readonly search: KadSearch
  readonly found: Map<number, AddressRecord>
  readonly refused: string[]
}

/** The search of one authority's worker, which misses the other two until it has found them. */
function newSearch(index: number, bootstrap: readonly string[]): Searching {
  const found = new Map<number, AddressRecord>()
  const refused: string[] = []
  const names = new HostNames()
  const search = new KadSearch(
    {
      committee,
      committeeDigest: digest,
      ownIndex: index,
      role: 0,
      peerId: `peer-${index}`,
      sign: signer(keys[index]!.seed),
      bootstrap,
    },
    {
      log: silent,
      names,
      supervisor: unsupervised,
      ownAddresses: () => [`/ip4/10.0.0.${index + 1}/tcp/4000`],
      missing: () => [0, 1, 2].filter((other) => other !== index && !found.has(other)),
      onRecord: (other, record) => {
        const isNew = !found.has(other)
        found.set(other, record)
        return isNew
      },
      onRefused: (reason) => refused.push(reason),
    },
  )
  search.start()
  onTestFinished(async () => {
    await search.close()
    names.close()
  })
  return { search, found, refused }
}

/** A node of the table that answers each question with `record` and with nodes that are not there, and keeps what it is given. */
async function newLiar(record: (key: Uint8Array) => Uint8Array, closer: string[]): Promise<string> {
  const peers = await Promise.all(
    closer.map(async (address) => ({
      id: peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toMultihash().bytes,
      multiaddrs: [multiaddr(address).bytes],
    })),
  )
  const node: Libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [leanNoise(() => {})],
    streamMuxers: [leanYamux(64, () => {})],
    services: { identify: identify(), ping: ping() },
  })
  await node.handle(KAD_PROTOCOL, async (stream) => {
    const messages = pbStream(stream).pb(Message)
    try {
      for (;;) {
        const asked = await messages.read()
        if (asked.type === MessageType.PING || asked.type === MessageType.PUT_VALUE) {
          await messages.write(asked)
          continue
        }
        const answer = { type: asked.type, key: asked.key, clusterLevel: 0, closer: peers, providers: [] }
        const said =
          asked.type === MessageType.GET_VALUE
            ? { ...answer, record: new Libp2pRecord(asked.key, record(asked.key), new Date()).serialize() }
            : answer
        await messages.write(said)
      }
    } catch {
      // The other side is gone.
    }
  })
  onTestFinished(() => node.stop())
  return node.getMultiaddrs()[0]!.toString()
}

const keyOf = (index: number): Uint8Array => addressKey(digest, committee.authority(index).publicKey, 0)
const signedBy = (index: number, of: number, changes: Partial<AddressRecord> = {}): Uint8Array =>
  encodeAddressRecord(
    {
      authority: committee.authority(of).publicKey,
      role: 0,
      peerId: 'liar',
      addresses: ['/ip4/10.6.6.6/tcp/6666'],
      committeeDigest: digest,
      timeMs: Date.now(),
      ...changes,
    },
    signer(keys[index]!.seed),
  )

test('three authorities find each other through one bootstrap node', async () => {
  const { address, node } = await newBootstrap()
  const all = [0, 1, 2].map((index) => newSearch(index, [address]))
  await until('all are found', () => all.every(({ found }) => found.size === 2), 30_000)
  expect(node.records).toBe(3)
  for (const [index, { found, refused }] of all.entries()) {
    expect(refused).toEqual([])
    for (const [other, record] of found) {
      expect(other).not.toBe(index)
      expect(record).toMatchObject({ peerId: `peer-${other}`, addresses: [`/ip4/10.0.0.${other + 1}/tcp/4000`] })
    }
  }
})

test('what one bootstrap node keeps is found through another that is joined with it', async () => {
  const first = await newBootstrap()
  const second = await newBootstrap([first.address])
  const [one, other] = [newSearch(0, [first.address]), newSearch(1, [second.address])]
  await until('both are found', () => one.found.has(1) && other.found.has(0), 30_000)
})

test('a table that lies costs dials within the budget, is believed in nothing, and keeps nobody from being found', async () => {
  // Everything that it names leads to a trap on this machine, where the user's bootstrap node is as well.
  const sockets: Socket[] = []
  const trap = createServer((socket) => void sockets.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    trap.close()
  })
  const { port } = trap.address() as { port: number }
  const lies: ((of: number) => Uint8Array)[] = [
    // Signed by another member; of another node; of long ago; rubbish.
    (of) => signedBy(0, of),
    (of) => signedBy(of, of, { role: 'primary' }),
    (of) => signedBy(of, of, { timeMs: 1 }),
    () => new Uint8Array(1_000).fill(7),
  ]
  let turn = 0
  const lie = (key: Uint8Array): Uint8Array => {
    const of = [0, 1, 2].find((index) => Buffer.compare(keyOf(index), key) === 0)!
    return lies[turn++ % lies.length]!(of)
  }
  const closer = Array.from({ length: 4 * KAD_DIALS_PER_MINUTE }, () => `/ip4/127.0.0.1/tcp/${port}`)
  const liar = await newLiar(lie, closer)

  const deceived = newSearch(0, [liar])
  await until(
    () => `every lie was told: ${deceived.refused}, ${sockets.length} dials`,
    () => new Set(deceived.refused).size >= 4,
    30_000,
  )
  expect(new Set(deceived.refused)).toEqual(
    new Set(['record-bad-signature', 'record-wrong-key', 'record-too-old', 'record-malformed']),
  )
  expect(deceived.found.size).toBe(0)
  await deceived.search.close()
  expect(sockets.length).toBeGreaterThan(0)
  // A minute's, and what came back to the budget in the meantime.
  expect(sockets.length).toBeLessThanOrEqual(2 * KAD_DIALS_PER_MINUTE)

  const { address } = await newBootstrap()
  const [one, other] = [newSearch(0, [liar, address]), newSearch(1, [liar, address])]
  await until('they are found all the same', () => one.found.has(1) && other.found.has(0), 45_000)
  expect(one.found.get(1)).toMatchObject({ peerId: 'peer-1', addresses: ['/ip4/10.0.0.2/tcp/4000'] })
})

test('connections to a bootstrap node are bounded by source, and the committee is served beside them', async () => {
  const { address } = await newBootstrap()
  const { host, port } = parseLibp2pAddress(address)!
  const sockets = Array.from({ length: KAD_PLACES_MAX }, () => connect(port, host).on('error', () => {}))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  const open = (): number => sockets.filter((socket) => !socket.closed && socket.readyState === 'open').length
  await until('those beyond its share are closed', () => open() <= KAD_SOURCE_PLACES_MAX, 20_000)
  const [one, other] = [newSearch(0, [address]), newSearch(1, [address])]
  await until('they are found', () => one.found.has(1) && other.found.has(0), 30_000)
})
