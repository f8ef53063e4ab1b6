/** What peer discovery may do for a worker, and what whoever announces things on the network cannot do to it. */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import {
  type PeerDiscovery,
  type PeerDiscoveryEvents,
  type PeerInfo,
  peerDiscoverySymbol,
  TypedEventEmitter,
} from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import type { Worker } from '../../../src/index.js'
import { Dialer } from '../../../src/main/network/dialer.js'
import { DiscoveredAddresses } from '../../../src/main/network/discovered-addresses.js'
import { peerIdOfSeed } from '../../../src/main/network/libp2p-node.js'
import { DISCOVERED_PER_ATTEMPT, LEARNED_ADDRESSES_MAX } from '../../../src/main/network/limits.js'
import { PeerTable } from '../../../src/main/network/peer-table.js'
import { type Committee, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../../src/shared/config/network-key.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { freePorts } from '../../support/free-ports.js'
import { seeded } from '../../support/random.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

const { startWorker } = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as typeof import('../../../src/index.js')

const keys = [1, 2, 3]
  .map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
/** A committee of the first of them, of which one has another address than it should. */
function committeeOf(authorities: number, port: number, other?: { index: number; address: string }): Committee {
  const names = keys.slice(0, authorities).map(({ name }) => name)
  const file = JSON.parse(JSON.stringify(localCommittee(names, 1, port)))
  if (other !== undefined) file.authorities[names[other.index]!].workers['0'].worker_to_worker = other.address
  return parseCommittee(file, 'test')
}

test('of the addresses announced, those heard of last are kept: no number of them shuts out one that comes later', () => {
  const discovered = new DiscoveredAddresses()
  const all = (): string[] => discovered.next(2 * LEARNED_ADDRESSES_MAX, () => true)
  discovered.add('/ip4/10.0.0.1/tcp/1', 'first')
  discovered.add('/ip4/10.0.0.2/tcp/1/p2p/second', 'second')
  for (let i = 2; i < LEARNED_ADDRESSES_MAX; i += 1) discovered.add(`/ip4/10.0.1.1/tcp/${i}`, 'flood')
  expect(all()).toHaveLength(LEARNED_ADDRESSES_MAX)
  // Announced once more, as it is every few seconds.
  discovered.add('/ip4/10.0.0.1/tcp/1', 'first')
  discovered.add('/ip4/10.0.0.3/tcp/1', 'third')
  expect(all()).toHaveLength(LEARNED_ADDRESSES_MAX)
  expect(discovered.next(2, (peerId) => peerId !== 'flood').sort()).toEqual([
    '/ip4/10.0.0.1/tcp/1/p2p/first',
    '/ip4/10.0.0.3/tcp/1/p2p/third',
  ])
})

test('of the addresses announced, what is new is tried at once and everything in turn', () => {
  const discovered = new DiscoveredAddresses()
  const next = (): string[] => discovered.next(2, () => true).map((address) => address.split('/')[2]!)
  for (const name of ['a', 'b', 'c', 'd', 'e']) discovered.add(`/dns4/${name}/tcp/1`, name)
  expect([next(), next()]).toEqual([
    ['e', 'd'],
    ['c', 'b'],
  ])
  discovered.add('/dns4/new/tcp/1', 'new')
  // Announced again: that does not make it new.
  discovered.add('/dns4/e/tcp/1', 'e')
  expect([next(), next(), next()]).toEqual([
    ['new', 'a'],
    ['e', 'd'],
    ['c', 'b'],
  ])
})

test('a peer may be where nobody else is known to be, or only where the committee file says', () => {
  const namedId = '12D3KooWFShmq7tubCxTEG3vfwb7ZHWWk1GF3LT9hcPGr18rjdfw'
  const named = { index: 2, address: `/ip4/127.0.0.1/tcp/4014/p2p/${namedId}` }
  const table = new PeerTable(committeeOf(3, 4000, named), 0, 0)
  const [first, second] = table.peers as [PeerTable['peers'][0], PeerTable['peers'][0]]
  expect([table.mayBe(first, 'any'), table.mayBe(first, namedId)]).toEqual([true, false])
  expect([table.mayBe(second, 'any'), table.mayBe(second, namedId)]).toEqual([false, true])
  first.peerId = 'learned'
  expect([table.mayBe(first, 'learned'), table.mayBe(second, 'learned')]).toEqual([true, false])
})

test('a peer that is away is tried where it should be in each attempt, and in time at every address announced', async () => {
  const table = new PeerTable(committeeOf(2, 4000), 0, 0)
  const [peer] = table.peers
  const discovered = new DiscoveredAddresses()
  for (let i = 0; i < LEARNED_ADDRESSES_MAX; i += 1) discovered.add(`/ip4/10.0.0.1/tcp/${i}`, 'somebody')
  const dialled: string[] = []
  const dialer = new Dialer({
    dial: async (_, address) => {
      dialled.push(address)
      return false
    },
    defersTo: () => false,
    discovered: (_, count) => discovered.next(count, () => true),
    nowMs: () => 0,
    random: seeded(3),
    pause: () => turn(),
  })
  dialer.start([peer!])
  await until('all were tried', () => new Set(dialled).size === 1 + LEARNED_ADDRESSES_MAX)
  dialer.close()
  for (const [i, address] of dialled.entries()) {
    expect(address === peer!.address).toBe(i % (1 + DISCOVERED_PER_ATTEMPT) === 0)
  }
})

/** A discovery that finds what the test tells it. */
class ToldDiscovery extends TypedEventEmitter<PeerDiscoveryEvents> implements PeerDiscovery {
  readonly [Symbol.toStringTag] = 'told'
  readonly [peerDiscoverySymbol] = this
  announce(peerId: string, ...addresses: string[]): void {
    const detail: PeerInfo = { id: peerIdFromString(peerId), multiaddrs: addresses.map((it) => multiaddr(it)) }
    this.dispatchEvent(new CustomEvent('peer', { detail }))
  }
}

test('workers whose committee files have wrong addresses for each other certify once discovery has the right one', async () => {
  const port = await freePorts(2 * 5 + 2)
  const told = [new ToldDiscovery(), new ToldDiscovery()]
  const workers: Worker[] = []
  for (const [i, own] of keys.slice(0, 2).entries()) {
    // Nobody listens there.
    const nowhere = { index: 1 - i, address: `127.0.0.1:${port + 10 + i}` }
    const worker = await startWorker({
      keys: own,
      committee: committeeOf(2, port, nowhere),
      store: join(temporaryDirectory(), 'store'),
      bind: '127.0.0.1',
      parameters: { ...defaultParameters(), ackLevel: 'stored', maxBatchDelayMs: 10 },
      log: { error() {}, warn() {}, info() {}, debug() {}, trace() {} },
      primary() {},
      peerDiscovery: [() => told[i]!],
    })
    onTestFinished(() => worker.close())
    workers.push(worker)
  }
  const certified = workers[0]!.certified[Symbol.asyncIterator]().next()
  await workers[0]!.submit(new Uint8Array(100))
  expect(workers[0]!.health().ok).toBe(false)
  const idOf = (byte: number): Promise<string> => peerIdOfSeed(new Uint8Array(32).fill(byte))
  for (let i = 0; i < 2 * LEARNED_ADDRESSES_MAX; i += 1) {
    told[0]!.announce(await idOf(100 + i), `/ip4/127.0.0.1/tcp/${port + 10}`)
  }
  const theirs = await peerIdOfSeed(deriveNetworkKeySeed(keys[1]!.seed, 0))
  told[0]!.announce(theirs, committeeOf(2, port).worker(1, 0).workerToWorker.multiaddr)
  expect((await certified).value).toMatchObject({ transactions: 1 })
  expect(workers.map((worker) => worker.health().ok)).toEqual([true, true])
})
