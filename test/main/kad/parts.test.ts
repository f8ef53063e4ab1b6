/** The parts of the search for addresses that are pure: what is kept, what is dialled, and what is said of ourselves. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { describe, expect, test } from 'vitest'
import { BoundedDatastore } from '../../../src/main/kad/bounded-datastore.js'
import { DialBudget } from '../../../src/main/kad/dial-budget.js'
import { kadArgument } from '../../../src/main/kad/kad-arguments.js'
import { parseBootstrap } from '../../../src/main/kad/kad-options.js'
import { KAD_DIALS_PER_MINUTE, KAD_PEER_BYTES_MAX, KAD_PEERS_MAX } from '../../../src/main/kad/limits.js'
import { RecordKeeper } from '../../../src/main/kad/record-keeper.js'
import { AddressRecords } from '../../../src/main/network/address-records.js'
import { demandAddresses } from '../../../src/main/network/node-address.js'
import { ownAddresses } from '../../../src/main/network/own-addresses.js'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { ADDRESS_RECORD_AGE_MS_MAX } from '../../../src/shared/constants.js'
import { signer } from '../../../src/shared/crypto/ed25519.js'
import { addressKey, encodeAddressRecord } from '../../../src/shared/wire/address-record.js'

const keys = [1, 2, 3].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
const bare = parseCommittee({
  authorities: Object.fromEntries(keys.map(({ name }) => [name, { stake: 1, primary: {}, workers: { 0: {} } }])),
})
const digest = committeeDigest(bare)
type Key = Parameters<BoundedDatastore['put']>[0]
const key = (name: string): Key => ({ toString: () => name }) as Key

describe('what is remembered in memory', () => {
  test('of nodes the last are kept, and a large one is refused', () => {
    const store = new BoundedDatastore(1)
    for (let i = 0; i < KAD_PEERS_MAX; i += 1) store.put(key(`/peers/${i}`), new Uint8Array(1))
    store.put(key('/peers/0'), new Uint8Array(2))
    store.put(key('/peers/new'), new Uint8Array(1))
    expect(store.peerCount).toBe(KAD_PEERS_MAX)
    expect([store.has(key('/peers/0')), store.has(key('/peers/1')), store.has(key('/peers/new'))]).toEqual([
      true,
      false,
      true,
    ])
    expect(() => store.put(key('/peers/large'), new Uint8Array(KAD_PEER_BYTES_MAX + 1))).toThrow('at most')
  })

  test('of records there is room for the committee’s, a day each, and for nothing else', () => {
    let nowMs = 0
    const store = new BoundedDatastore(1, () => nowMs)
    store.put(key('/dht/record/a'), new Uint8Array(1))
    expect(() => store.put(key('/dht/record/b'), new Uint8Array(1))).toThrow('no room')
    expect(() => store.put(key('/dht/provider/x'), new Uint8Array(1))).toThrow('nothing that is kept')
    nowMs = ADDRESS_RECORD_AGE_MS_MAX
    expect(store.get(key('/dht/record/a'))).toHaveLength(1)
    nowMs += 1
    expect(() => store.get(key('/dht/record/a'))).toThrow('too old')
    store.put(key('/dht/record/b'), new Uint8Array(1))
  })
})

describe('a bootstrap node keeps', () => {
  const [own] = keys as [(typeof keys)[0]]
  const at = addressKey(digest, own.publicKey, 'primary')
  const signed = (timeMs: number, by = own): Uint8Array =>
    encodeAddressRecord(
      { authority: own.publicKey, role: 'primary', peerId: '1', addresses: [], committeeDigest: digest, timeMs },
      signer(by.seed),
    )

  test('what the authority has signed, the newest, and no older one after it', () => {
    const keeper = new RecordKeeper(bare)
    expect(keeper.take(at, signed(1_000), 1_000)).toBeUndefined()
    expect(keeper.take(at, signed(2_000), 2_000)).toBeUndefined()
    expect(keeper.take(at, signed(1_000), 2_000)).toBe('older')
    expect(keeper.take(at, signed(3_000, keys[1]!), 3_000)).toBe('bad-signature')
    // The forged one has changed nothing.
    expect(keeper.take(at, signed(2_000), 3_000)).toBeUndefined()
  })

  test('as many as the committee has nodes', () => {
    expect(RecordKeeper.recordsMax(bare)).toBe(6)
  })
})

describe('addresses that others name for nodes of the table', () => {
  test('are dialled so often in a minute, bootstrap nodes always', () => {
    const dials = new DialBudget(new Set())
    dials.trust(['/ip4/127.0.0.1/tcp/4100/p2p/12D3KooWFShmq7tubCxTEG3vfwb7ZHWWk1GF3LT9hcPGr18rjdfw'])
    const count = (nowMs: number): number => {
      let dialled = 0
      for (let port = 1; port <= 1_000; port += 1) if (dials.mayDial(`/ip4/10.0.0.1/tcp/${port}`, nowMs)) dialled += 1
      return dialled
    }
    expect([count(0), count(0), count(60_000), count(65_000)]).toEqual([
      KAD_DIALS_PER_MINUTE,
      0,
      KAD_DIALS_PER_MINUTE,
      1,
    ])
    expect(dials.mayDial('/ip4/127.0.0.1/tcp/4100', 65_000)).toBe(true)
    expect(dials.mayDial('/ip4/127.0.0.1/tcp/4101', 200_000)).toBe(false)
  })

  test.each([
    '/ip4/127.0.0.1/tcp/22',
    '/ip4/169.254.169.254/tcp/80',
    '/ip6/::1/tcp/22',
    '/ip6/fe80::1/tcp/22',
    '/dns4/example.org/tcp/80',
    '/ip4/10.0.0.1/udp/4001/quic-v1',
    '/ip4/10.0.0.1/tcp/4001/ws',
    '/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWFShmq7tubCxTEG3vfwb7ZHWWk1GF3LT9hcPGr18rjdfw/p2p-circuit',
  ])('%s is never dialled nor kept', (address) => {
    const dials = new DialBudget(new Set())
    expect([dials.mayDial(address, 0), dials.mayKeep(address)]).toEqual([false, false])
  })
})

describe('addresses of a peer’s signed record', () => {
  const record = (timeMs: number, ...addresses: string[]) => ({
    authority: keys[1]!.publicKey,
    role: 0,
    peerId: 'P',
    committeeDigest: digest,
    timeMs,
    addresses,
  })

  test('are tried in turn, with the peer id that must be there', () => {
    const records = new AddressRecords(new Set())
    expect(records.next(1)).toEqual([])
    expect(records.take(1, record(1, ...[1, 2, 3].map((host) => `/ip4/10.0.0.${host}/tcp/1`)))).toBe(true)
    const hosts = (): string[] => records.next(1).map((address) => address.replace('/ip4/10.0.0.', ''))
    expect([hosts(), hosts(), hosts()]).toEqual([
      ['1/tcp/1/p2p/P', '2/tcp/1/p2p/P'],
      ['3/tcp/1/p2p/P', '1/tcp/1/p2p/P'],
      ['2/tcp/1/p2p/P', '3/tcp/1/p2p/P'],
    ])
  })

  test('are those of the newest record, and an old one that comes again changes nothing', () => {
    const records = new AddressRecords(new Set())
    expect(records.take(1, record(5, '/ip4/10.0.0.5/tcp/1'))).toBe(true)
    expect(records.take(1, record(4, '/ip4/10.0.0.4/tcp/1'))).toBe(false)
    expect(records.take(1, record(5, '/ip4/10.0.0.4/tcp/1'))).toBe(false)
    expect(records.next(1)).toEqual(['/ip4/10.0.0.5/tcp/1/p2p/P'])
    // Published again: that is nothing new.
    expect(records.take(1, record(6, '/ip4/10.0.0.5/tcp/1'))).toBe(false)
    expect(records.take(1, record(7, '/ip4/10.0.0.7/tcp/1'))).toBe(true)
    expect(records.next(1)).toEqual(['/ip4/10.0.0.7/tcp/1/p2p/P'])
  })

  test('are never of this machine, its link or a name, unless a user has named that host', () => {
    const addresses = ['/ip4/127.0.0.1/tcp/22', '/ip4/169.254.169.254/tcp/80', '/dns4/localhost/tcp/1']
    const careful = new AddressRecords(new Set())
    expect(careful.take(1, record(1, ...addresses))).toBe(false)
    expect(careful.next(1)).toEqual([])
    const local = new AddressRecords(new Set(['127.0.0.1']))
    expect(local.take(1, record(1, ...addresses))).toBe(true)
    expect(local.next(1)).toEqual(['/ip4/127.0.0.1/tcp/22/p2p/P'])
  })
})

describe('what a node says of itself', () => {
  const listening = ['/ip4/127.0.0.1/tcp/9/p2p/P', '/ip4/10.0.0.1/tcp/9', '/ip6/::1/tcp/9', '/ip6/fd00::1/tcp/9']
  test('is the committee file’s address, if it has one', () => {
    expect(ownAddresses('/ip4/1.2.3.4/tcp/5', listening, new Set())).toEqual(['/ip4/1.2.3.4/tcp/5'])
  })

  test('is what it listens on, without addresses that mean something else on each machine', async () => {
    const peerId = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
    const proper = listening.map((address) => address.replace('/p2p/P', `/p2p/${peerId}`))
    expect(ownAddresses(undefined, proper, new Set())).toEqual(['/ip4/10.0.0.1/tcp/9', '/ip6/fd00::1/tcp/9'])
    expect(ownAddresses(undefined, proper, new Set(['127.0.0.1']))).toContain('/ip4/127.0.0.1/tcp/9')
  })
})

describe('a committee without addresses', () => {
  const full = localCommittee(
    keys.map(({ name }) => name),
    1,
    4000,
  )

  test('has the digest of the same committee with addresses', () => {
    expect(committeeDigest(parseCommittee(full))).toEqual(digest)
  })

  test('is refused, with the name of the authority, where nothing could find them', () => {
    const message = /^authorities\.[\w+/=]{44}\.workers\.0\.worker_to_worker is missing/
    for (const discovery of [{}, { peerDiscovery: [] }]) {
      expect(() => demandAddresses(bare, 0, 0, discovery)).toThrow(message)
      expect(() => demandAddresses(bare, 0, 'primary', discovery)).toThrow('primary.primary_to_primary is missing')
    }
    demandAddresses(parseCommittee(full), 0, 0, {})
    demandAddresses(bare, 0, 0, { kad: { bootstrap: ['/ip4/10.0.0.9/tcp/1'] } })
    demandAddresses(bare, 0, 0, { peerDiscovery: [() => undefined] })
  })

  test('says which of its addresses is missing when it is used', () => {
    const { name } = bare.authority(1)
    expect(() => bare.worker(1, 0).transactions).toThrow(`authorities.${name}.workers.0.transactions is missing`)
    expect(() => bare.primary(1).workerToPrimary).toThrow(`authorities.${name}.primary.worker_to_primary is missing`)
    expect(() => bare.worker(1, 7)).toThrow('workers.7 is missing')
  })
})

test('options of the table are checked at the door', () => {
  expect(parseBootstrap('10.0.0.9:4100')).toBe('/ip4/10.0.0.9/tcp/4100')
  expect(kadArgument('kad', { bootstrap: ['/dns4/b.example.org/tcp/1'] })).toEqual({
    bootstrap: ['/dns4/b.example.org/tcp/1'],
  })
  for (const wrong of [undefined, {}, { bootstrap: [] }, { bootstrap: ['/udp/1'] }, { bootstrap: 'x' }, { other: 1 }]) {
    expect(() => kadArgument('kad', wrong)).toThrow(/^kad/)
  }
})
