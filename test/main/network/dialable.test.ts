/** Whom others can have us dial: a member by its hello, anybody near by an announcement. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { NAME_ADDRESSES_PER_ATTEMPT } from '../../../src/main/names/limits.js'
import { dialableOfHello, isDialableDiscovery, numericAddresses } from '../../../src/main/network/dialable.js'
import { Dialer } from '../../../src/main/network/dialer.js'
import {
  DIAL_BACKOFF_MAX_MS,
  DIAL_TIMEOUT_MS,
  PEER_ADDRESSES_MAX,
  PEER_ADDRESSES_PER_ATTEMPT,
  STABLE_CONNECTION_MS,
} from '../../../src/main/network/limits.js'
import { PeerTable } from '../../../src/main/network/peer-table.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { until } from '../../support/until.js'

const ID = '12D3KooWFShmq7tubCxTEG3vfwb7ZHWWk1GF3LT9hcPGr18rjdfw'
const OTHER_ID = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const hello = (claimed: string[], host = '198.51.100.7', committeeAddress = '/ip4/203.0.113.5/tcp/4000'): string[] =>
  dialableOfHello(claimed, { host, committeeAddress, peerId: ID })

describe('of the addresses in a hello', () => {
  test('those on the host it came from, or on the committee file’s, are tried', () => {
    const good = ['/ip4/198.51.100.7/tcp/4001', '/ip4/203.0.113.5/tcp/4002']
    expect(hello([...good, `${good[0]}/p2p/${ID}`])).toEqual(good)
    expect(hello(['/ip4/203.0.113.5/tcp/4000'])).toEqual([])
    expect(hello(['/ip6/2001:db8::7/tcp/1'], '2001:0db8:0:0::7')).toEqual(['/ip6/2001:db8::7/tcp/1'])
  })

  test.each([
    '/ip4/192.0.2.1/tcp/80',
    '/ip4/198.51.100.8/tcp/4000',
    '/ip6/2001:db8::1/tcp/80',
    '/dns4/victim.example/tcp/443',
    '/dns/localhost/tcp/22',
    '/dnsaddr/victim.example',
    '/ip4/127.0.0.1/tcp/22',
    '/ip4/169.254.169.254/tcp/80',
    '/ip6/::1/tcp/22',
    '/ip6/::ffff:127.0.0.1/tcp/22',
    '/ip4/0.0.0.0/tcp/22',
    '/ip4/198.51.100.7/udp/53',
    '/ip4/198.51.100.7/tcp/0',
    '/ip4/198.51.100.7/tcp/4000/ws',
    `/ip4/198.51.100.7/tcp/1/p2p/${ID}/p2p-circuit`,
    `/ip4/198.51.100.7/tcp/4000/p2p/${OTHER_ID}`,
    '/unix/tmp/socket',
    'nonsense',
    '',
  ])('%s is not', (address) => {
    expect(hello([address])).toEqual([])
  })

  test.each(['127.0.0.1', '::1', '169.254.1.1', '::ffff:127.0.0.1', 'fe80::1'])(
    'none on %s is, even if the hello came from there, unless the committee file has it',
    (host) => {
      const protocol = host.includes(':') ? 'ip6' : 'ip4'
      expect(hello([`/${protocol}/${host}/tcp/4000`], host)).toEqual([])
      expect(hello([`/${protocol}/${host}/tcp/4000`], host, `/${protocol}/${host}/tcp/1`)).toHaveLength(1)
    },
  )

  test('a few are kept', () => {
    expect(hello(Array.from({ length: 16 }, (_, i) => `/ip4/198.51.100.7/tcp/${1 + i}`))).toHaveLength(
      PEER_ADDRESSES_MAX,
    )
  })
})

test.each([
  ['/ip4/10.0.0.9/tcp/4000', true],
  [`/ip4/10.0.0.9/tcp/4000/p2p/${ID}`, true],
  ['/ip6/fd00::9/tcp/4000', true],
  ['/ip4/127.0.0.1/tcp/22', false],
  ['/ip4/169.254.169.254/tcp/80', false],
  ['/ip6/::ffff:169.254.169.254/tcp/80', false],
  ['/dns4/metadata.google.internal/tcp/80', false],
  ['/dns4/peer.example/tcp/4000', true],
  ['/ip4/127.0.0.5/tcp/4000', true],
  ['/ip4/10.0.0.9/udp/4000', false],
])('an announcement of %s is tried: %s', (address, isTried) => {
  expect(isDialableDiscovery(address, new Set(['peer.example', '127.0.0.5']))).toBe(isTried)
})

describe('the addresses of a name', () => {
  const hosts = ['10.0.0.7', 'fd00::7', '127.0.0.1', '169.254.169.254']

  test('are all tried at the committee file’s address, in the family that it asks for', () => {
    expect(numericAddresses('/dns/w1/tcp/4000', hosts, true)).toEqual([
      '/ip4/10.0.0.7/tcp/4000',
      '/ip6/fd00::7/tcp/4000',
      '/ip4/127.0.0.1/tcp/4000',
      '/ip4/169.254.169.254/tcp/4000',
    ])
    expect(numericAddresses('/dns6/w1/tcp/4000/p2p/X', hosts, true)).toEqual(['/ip6/fd00::7/tcp/4000/p2p/X'])
    expect(numericAddresses('/ip4/10.0.0.9/tcp/1', ['10.0.0.9'], true)).toEqual(['/ip4/10.0.0.9/tcp/1'])
  })

  test('at a port that a peer names are not those of this machine or its link, unless the name says so', () => {
    expect(numericAddresses('/dns4/w1/tcp/80', hosts, false)).toEqual(['/ip4/10.0.0.7/tcp/80'])
    expect(numericAddresses('/dns4/localhost/tcp/80', ['127.0.0.1'], false)).toEqual(['/ip4/127.0.0.1/tcp/80'])
  })
})

describe('the dialler', () => {
  const keys = [1, 2].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  const peerOfTwo = () => {
    const names = keys.map(({ name }) => name)
    return new PeerTable(parseCommittee(localCommittee(names, 1, 4000), 'test'), 0, 0).peers[0]!
  }

  test('tries the committee file’s address in each attempt, and a share of the learned ones, all in time', async () => {
    const peer = peerOfTwo()
    peer.learnedAddresses = ['a', 'b', 'c', 'd']
    const dialled: string[] = []
    const dialer = new Dialer({
      dial: async (_, address) => dialled.push(address) < 0,
      defersTo: () => false,
      discovered: () => [],
      nowMs: () => 0,
      random: () => 0.5,
      pause: () => turn(),
    })
    dialer.start([peer])
    await until('many attempts', () => dialled.length >= 30)
    dialer.close()
    for (const [i, address] of dialled.entries()) {
      expect(address === peer.address).toBe(i % (1 + PEER_ADDRESSES_PER_ATTEMPT) === 0)
    }
    expect(new Set(dialled).size).toBe(5)
  })

  test('asks about a name at each attempt, and tries all of its addresses, a few in each', async () => {
    const peer = peerOfTwo()
    const dialled: { address: string; timeoutMs: number }[] = []
    let generation = 0
    const dialer = new Dialer({
      dial: async (_, address, timeoutMs) => dialled.push({ address, timeoutMs }) < 0,
      resolve: async () => {
        generation += 1
        return generation === 1 ? ['old'] : ['a', 'b', 'c', 'd', 'e', 'f']
      },
      defersTo: () => false,
      discovered: () => [],
      nowMs: () => 0,
      random: () => 0.5,
      pause: () => turn(),
    })
    dialer.start([peer])
    await until('some attempts', () => dialled.length >= 9)
    dialer.close()
    expect(dialled.slice(0, 1)).toEqual([{ address: 'old', timeoutMs: DIAL_TIMEOUT_MS }])
    expect(new Set(dialled.slice(1, 9).map(({ address }) => address)).size).toBe(6)
    expect(dialled[1]!.timeoutMs).toBe(DIAL_TIMEOUT_MS / NAME_ADDRESSES_PER_ATTEMPT)
  })

  test('waits longer and longer for a peer that takes each connection and closes it', async () => {
    const peer = peerOfTwo()
    const pauses: number[] = []
    let lastedMs = 0
    let nowMs = 0
    const dialer: Dialer = new Dialer({
      dial: async () => {
        peer.connections.push({} as never)
        setImmediate(() => {
          nowMs += lastedMs
          peer.connections.length = 0
          dialer.lost(peer)
        })
        return true
      },
      defersTo: () => false,
      discovered: () => [],
      nowMs: () => nowMs,
      random: () => 0.5,
      pause: async (ms) => {
        pauses.push(ms)
        await turn()
      },
    })
    dialer.start([peer])
    await until('it has waited often', () => pauses.length >= 10)
    expect(pauses.slice(0, 10)).toEqual(pauses.slice(0, 10).sort((a, b) => a - b))
    expect(pauses[9]).toBe(DIAL_BACKOFF_MAX_MS)
    // One that lasts is dialled again at once.
    lastedMs = STABLE_CONNECTION_MS
    await turn()
    const before = pauses.length
    for (let i = 0; i < 50; i += 1) await turn()
    expect(pauses.length - before).toBeLessThanOrEqual(1)
    dialer.close()
  })
})
