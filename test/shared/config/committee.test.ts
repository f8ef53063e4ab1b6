import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Committee, committeeDigest, parseCommittee, readCommittee } from '../../../src/shared/config/committee.js'
import { committeeFileOf, formatCommittee, localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { WORKERS_PER_AUTHORITY_MAX } from '../../../src/shared/config/limits.js'
import { COMMITTEE_SIZE_MAX } from '../../../src/shared/constants.js'
import { fromHex, toHex, vectors } from '../../support/reference-vectors.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const PEER_ID = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const OTHER_PEER_ID = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'
const names = vectors.keys.map((key) => key.name_base64)
const first = names[0] as string

// The file of the reference's own documentation, with its formatting.
const REFERENCE_FILE = `{
    "authorities": {
        "${first}": {
            "primary": {
                "primary_to_primary": "127.0.0.1:4000",
                "worker_to_primary": "127.0.0.1:4001"
            },
            "stake": 1,
            "workers": {
                "0": {
                    "primary_to_worker": "127.0.0.1:4002",
                    "transactions": "127.0.0.1:4003",
                    "worker_to_worker": "127.0.0.1:4004"
                }
            }
        }
    }
}
`

// A mutable committee of four, as JSON, to be changed by a test.
// biome-ignore lint/suspicious/noExplicitAny: tests put anything into it
const four = (): any => structuredClone(localCommittee(names, 2, 4000))

function withStakes(stakes: readonly number[]): Committee {
  const keys = stakes.map((_, i) => keysOf(new Uint8Array(32).fill(i + 1)).name)
  const file = structuredClone(localCommittee(keys, 1, 4000)) as unknown as {
    authorities: Record<string, { stake: number }>
  }
  keys.forEach((name, i) => {
    file.authorities[name]!.stake = stakes[i] as number
  })
  return parseCommittee(file, 'test')
}

const refused = (about: string | RegExp) =>
  expect.objectContaining({
    code: 'ERR_COMMITTEE_MALFORMED',
    message: typeof about === 'string' ? expect.stringContaining(about) : expect.stringMatching(about),
  })

describe('a committee file', () => {
  test('of the reference is read as it is', () => {
    const path = join(temporaryDirectory(), 'committee.json')
    writeFileSync(path, REFERENCE_FILE)
    const committee = readCommittee(path)
    expect(committee.size).toBe(1)
    expect(committee.authorities[0]).toMatchObject({
      name: first,
      stake: 1,
      publicKey: fromHex(vectors.keys[0]!.public),
    })
    expect(committee.primary(0)).toEqual({
      primaryToPrimary: { host: '127.0.0.1', port: 4000 },
      workerToPrimary: { host: '127.0.0.1', port: 4001 },
    })
    expect(committee.worker(0, 0)).toEqual({
      primaryToWorker: { host: '127.0.0.1', port: 4002 },
      transactions: { host: '127.0.0.1', port: 4003 },
      workerToWorker: { multiaddr: '/ip4/127.0.0.1/tcp/4004', host: '127.0.0.1', port: 4004 },
    })
  })

  test('for this machine is written as the reference’s scripts write it', () => {
    expect(formatCommittee(localCommittee([first], 1, 4000))).toBe(REFERENCE_FILE)
  })

  test('numbers ports authority by authority, two for a primary and three for each worker', () => {
    const committee = parseCommittee(four(), 'test')
    const second = committee.indexOf(fromHex(vectors.keys[1]!.public))
    expect(committee.primary(second).primaryToPrimary.port).toBe(4008)
    expect(committee.worker(second, 1).workerToWorker.port).toBe(4015)
  })

  test('made of a committee makes that committee again', () => {
    const file = four()
    file.authorities[first].stake = 7
    file.authorities[first].workers['1'].peer_id = PEER_ID
    file.authorities[first].workers['0'].worker_to_worker = `/dns4/Worker.example.org/tcp/4100/p2p/${OTHER_PEER_ID}`
    file.authorities[first].workers['0'].transactions = '[fd00:0::7]:4101'
    file.authorities[first].workers['1'].worker_to_worker = 'Worker-1:4102'
    file.authorities[first].primary.worker_to_primary = 'primary.example.org:4103'
    const committee = parseCommittee(file, 'test')
    expect(parseCommittee(JSON.parse(formatCommittee(committeeFileOf(committee))), 'test')).toEqual(committee)
  })

  test('that is missing says so, and how it is made', () => {
    const path = join(temporaryDirectory(), 'committee.json')
    expect(() => readCommittee(path)).toThrow(expect.objectContaining({ code: 'ERR_FILE_MISSING' }))
    expect(() => readCommittee(path)).toThrow(`committee file ${path} does not exist: make it with`)
  })
})

describe('the committee', () => {
  test('is ordered by raw key bytes, and finds an authority by its key', () => {
    const committee = parseCommittee(four(), 'test')
    expect(committee.authorities.map(({ name }) => names.indexOf(name))).toEqual(vectors.committee_order)
    vectors.committee_order.forEach((key, index) => {
      expect(committee.indexOf(fromHex(vectors.keys[key]!.public))).toBe(index)
    })
    expect(committee.indexOf(new Uint8Array(32))).toBe(-1)
    expect(committee.indexOf(new Uint8Array(31))).toBe(-1)
  })

  test('has a quorum threshold of 2 · total / 3 + 1, by integer division', () => {
    const thresholds = [1, 2, 3, 4, 5, 6, 7, 10].map((n) => withStakes(new Array(n).fill(1)).quorumThreshold)
    expect(thresholds).toEqual([1, 2, 3, 3, 4, 5, 5, 7])
    const greatest = withStakes([2 ** 32 - 1, 2 ** 32 - 1, 2])
    expect(greatest.totalStake).toBe(2 ** 33)
    expect(greatest.quorumThreshold).toBe(Number((2n * 2n ** 33n) / 3n + 1n))
    expect(
      withStakes([5, 2])
        .authorities.map((_, i, all) => all[i]!.stake)
        .sort(),
    ).toEqual([2, 5])
  })

  test('names the path of a worker that it lacks', () => {
    const committee = parseCommittee(four(), 'test')
    const name = committee.authorities[2]!.name
    expect(() => committee.worker(2, 3)).toThrow(
      expect.objectContaining({
        code: 'ERR_NOT_IN_COMMITTEE',
        message: `authorities.${name}.workers.3 is missing: the committee file has the workers 0, 1`,
      }),
    )
    expect(() => committee.stakeOf(4)).toThrow('authority 4 of 4')
  })

  test('holds 256 authorities and no more', () => {
    const keys = Array.from({ length: COMMITTEE_SIZE_MAX + 1 }, (_, i) => {
      const seed = Buffer.alloc(32)
      seed.writeUInt32LE(i)
      return keysOf(seed).name
    })
    expect(parseCommittee(localCommittee(keys.slice(1), 1, 4000), 'test').size).toBe(256)
    expect(() => parseCommittee(localCommittee(keys, 1, 4000), 'test')).toThrow(
      refused('test: authorities: 257 authorities, at most 256'),
    )
  })

  test('takes worker ids in any order, and gives them ascending', () => {
    const file = four()
    file.authorities[first].workers = {
      '4294967295': file.authorities[first].workers['0'],
      '10': file.authorities[first].workers['1'],
    }
    const committee = parseCommittee(file, 'test')
    const { workers } = committee.authority(committee.indexOf(fromHex(vectors.keys[0]!.public)))
    expect([...workers.keys()]).toEqual([10, 4294967295])
  })
})

describe('what is wrong in a committee file is refused with its path', () => {
  const at = `authorities.${first}`
  // biome-ignore lint/suspicious/noExplicitAny: an authority's entry, to be changed
  const cases: [string, (authority: any, file: any) => void, string | RegExp][] = [
    ['no authorities', (_, file) => (file.authorities = {}), 'authorities: expected at least one authority'],
    ['authorities missing', (_, file) => delete file.authorities, 'authorities: expected object'],
    ['an unknown key', (_, file) => (file.epoch = 1), 'unknown "epoch"'],
    ['an unknown key of an authority', (a) => (a.weight = 1), `${at}: unknown "weight"`],
    ['an unknown key of a worker', (a) => (a.workers['0'].peer = 1), `${at}.workers.0: unknown "peer"`],
    ['a stake of 0', (a) => (a.stake = 0), `${at}.stake: expected an integer from 1 to 4294967295, found 0`],
    ['a negative stake', (a) => (a.stake = -1), `${at}.stake: expected an integer from 1 to 4294967295, found -1`],
    ['a stake over a u32', (a) => (a.stake = 2 ** 32), `${at}.stake: expected an integer`],
    ['a stake in quotes', (a) => (a.stake = '1'), `${at}.stake: expected an integer from 1 to 4294967295, found "1"`],
    ['a fraction of a stake', (a) => (a.stake = 1.5), `${at}.stake: expected an integer`],
    ['no stake', (a) => delete a.stake, `${at}.stake: expected an integer from 1 to 4294967295, found nothing`],
    ['no primary', (a) => delete a.primary, `${at}.primary: expected object`],
    ['no workers', (a) => (a.workers = {}), `${at}.workers: expected at least one worker`],
    [
      'an address that is empty',
      (a) => (a.workers['1'].transactions = ''),
      `${at}.workers.1.transactions: expected host`,
    ],
    ['a worker id in words', (a) => (a.workers.one = a.workers['1']), `${at}.workers.one: expected a worker id`],
    [
      'a worker id of two spellings',
      (a) => (a.workers['01'] = a.workers['1']),
      `${at}.workers.01: expected a worker id`,
    ],
    ['a worker id over a u32', (a) => (a.workers['4294967296'] = a.workers['1']), `${at}.workers.4294967296`],
    [
      'too many workers',
      (a) => {
        for (let i = 0; i <= WORKERS_PER_AUTHORITY_MAX; i++) a.workers[i] = a.workers['1']
      },
      `${at}.workers: 257 workers, at most 256`,
    ],
    [
      'a name without a port',
      (a) => (a.primary.worker_to_primary = 'localhost'),
      `${at}.primary.worker_to_primary: expected host:port, as 10.0.0.7:4000, [fd00::7]:4000 or worker-2.example.org:4000, found "localhost"`,
    ],
    ['a name that a resolver may take for IPv4', (a) => (a.workers['0'].transactions = '10.1:4000'), 'transactions'],
    ['the same in hexadecimal', (a) => (a.workers['0'].transactions = 'host.0x7f:4000'), 'transactions'],
    [
      'the same in a multiaddr',
      (a) => (a.workers['0'].worker_to_worker = '/dns4/10.0.0.256/tcp/1'),
      'worker_to_worker',
    ],
    ['a name that is not in ASCII', (a) => (a.workers['0'].transactions = 'wörker:4000'), 'transactions'],
    ['a name with an empty part', (a) => (a.workers['0'].transactions = 'a..b:4000'), 'transactions'],
    ['a name that looks like a flag', (a) => (a.workers['0'].transactions = '-v:4000'), 'transactions'],
    ['a name in brackets', (a) => (a.workers['0'].transactions = '[localhost]:4000'), 'transactions'],
    ['a name of 254 characters', (a) => (a.workers['0'].transactions = `${'abc.'.repeat(63)}ab:1`), 'transactions'],
    ['port 0', (a) => (a.workers['0'].transactions = '127.0.0.1:0'), `${at}.workers.0.transactions`],
    ['port 65536', (a) => (a.workers['0'].transactions = '127.0.0.1:65536'), `${at}.workers.0.transactions`],
    ['no port', (a) => (a.workers['0'].transactions = '127.0.0.1'), `${at}.workers.0.transactions`],
    ['IPv4 out of range', (a) => (a.workers['0'].transactions = '127.0.0.256:1'), `${at}.workers.0.transactions`],
    ['IPv6 without brackets', (a) => (a.workers['0'].transactions = '::1:4003'), `${at}.workers.0.transactions`],
    ['IPv6 with a zone', (a) => (a.workers['0'].transactions = '[fe80::1%lo]:1'), `${at}.workers.0.transactions`],
    ['a multiaddr for clients', (a) => (a.workers['0'].transactions = '/ip4/127.0.0.1/tcp/1'), 'transactions'],
    ['a UDP multiaddr', (a) => (a.workers['0'].worker_to_worker = '/ip4/127.0.0.1/udp/1'), 'or a multiaddr'],
    ['a wrong ip in a multiaddr', (a) => (a.workers['0'].worker_to_worker = '/ip4/worker/tcp/1'), 'worker_to_worker'],
    ['a malformed peer id', (a) => (a.workers['0'].peer_id = 'bafz'), `${at}.workers.0.peer_id: expected a peer id`],
    [
      'two peer ids for one worker',
      (a) => {
        a.workers['0'].worker_to_worker = `/ip4/127.0.0.1/tcp/4004/p2p/${PEER_ID}`
        a.workers['0'].peer_id = OTHER_PEER_ID
      },
      `${at}.workers.0.peer_id: ${OTHER_PEER_ID} is not the peer id in worker_to_worker, ${PEER_ID}`,
    ],
    [
      'two listeners on one address',
      (a) => (a.workers['1'].transactions = '127.0.0.1:4000'),
      `${at}.workers.1.transactions: "127.0.0.1:4000" is also ${at}.primary.primary_to_primary`,
    ],
    [
      'two listeners on one address in two spellings',
      (a) => {
        a.workers['0'].transactions = '[fd00:0:0::7]:4000'
        a.workers['1'].worker_to_worker = '/ip6/fd00::7/tcp/4000'
      },
      `${at}.workers.1.worker_to_worker: "[fd00::7]:4000" is also`,
    ],
    [
      'one peer id for two workers',
      (a) => {
        a.workers['0'].peer_id = PEER_ID
        a.workers['1'].peer_id = PEER_ID
      },
      `${at}.workers.1.peer_id: "${PEER_ID}" is also ${at}.workers.0.peer_id`,
    ],
    [
      'a key that is not base64 of 32 bytes',
      (a, file) => (file.authorities[first.slice(0, 40)] = a),
      `authorities.${first.slice(0, 40)}: expected a public key`,
    ],
  ]

  test.each(cases)('%s', (_, change, about) => {
    const file = four()
    change(file.authorities[first], file)
    expect(() => parseCommittee(file, 'test')).toThrow(refused(about))
  })

  test.each([[[]], [null], [7], ['x']])('%j', (json) => {
    expect(() => parseCommittee(json, 'test')).toThrow(refused('test: expected object'))
  })

  test('an authority that is given twice', () => {
    const path = join(temporaryDirectory(), 'committee.json')
    writeFileSync(path, REFERENCE_FILE.replace('"authorities": {', `"authorities": {"${first}": {},`))
    expect(() => readCommittee(path)).toThrow(
      expect.objectContaining({
        code: 'ERR_FILE_MALFORMED',
        message: expect.stringContaining(`line 3, column 9: the key "${first}" is given twice`),
      }),
    )
  })

  test('of many problems the first five, on one line', () => {
    const file = four()
    for (const name of names) {
      file.authorities[name].stake = '\n'
      file.authorities[name].workers['0'].transactions = 'x'.repeat(1000)
    }
    expect(() => parseCommittee(file, 'test')).toThrow(refused(/^[^\n]{1,1500}; and 3 more$/))
  })
})

describe('the committee digest', () => {
  test('is SHA-256 over the tag, the count, and each authority’s key, stake and worker ids', () => {
    const parts = [Buffer.from('narval/committee/v1'.padEnd(32, '\0')), Buffer.from('04000000', 'hex')]
    for (const index of vectors.committee_order) {
      const entry = `${vectors.keys[index]!.public}01000000020000000000000001000000`
      parts.push(Buffer.from(entry, 'hex'))
    }
    const expected = createHash('sha256').update(Buffer.concat(parts)).digest('hex')
    expect(toHex(committeeDigest(parseCommittee(four(), 'test')))).toBe(expected)
  })

  test('changes with keys, stakes and worker ids, and not with addresses or peer ids', () => {
    const digestOf = (change: (file: ReturnType<typeof four>) => void): string => {
      const file = four()
      change(file)
      return toHex(committeeDigest(parseCommittee(file, 'test')))
    }
    const original = digestOf(() => undefined)
    const changed = [
      digestOf((file) => (file.authorities[first].stake = 2)),
      digestOf((file) => delete file.authorities[first].workers['1']),
      digestOf((file) => delete file.authorities[first]),
      digestOf((file) => {
        const { workers } = file.authorities[first]
        file.authorities[first].workers = { '0': workers['0'], '2': workers['1'] }
      }),
    ]
    expect(new Set([original, ...changed]).size).toBe(5)
    const same = digestOf((file) => {
      file.authorities[first].workers['0'].transactions = '10.0.0.1:9'
      file.authorities[first].workers['0'].peer_id = PEER_ID
      file.authorities[first].workers['1'].worker_to_worker = 'worker-1.example.org:4000'
      file.authorities[first].primary.worker_to_primary = 'primary:4000'
    })
    expect(same).toBe(original)
  })
})

describe('addresses', () => {
  test.each([
    ['10.0.0.7:4000', { multiaddr: '/ip4/10.0.0.7/tcp/4000', host: '10.0.0.7', port: 4000 }],
    ['[FD00:0::7]:4000', { multiaddr: '/ip6/fd00::7/tcp/4000', host: 'fd00::7', port: 4000 }],
    ['/ip4/10.0.0.7/tcp/1', { multiaddr: '/ip4/10.0.0.7/tcp/1', host: '10.0.0.7', port: 1 }],
    ['/ip6/::1/tcp/65535', { multiaddr: '/ip6/::1/tcp/65535', host: '::1', port: 65535 }],
    ['LocalHost:7000', { multiaddr: '/dns/localhost/tcp/7000', host: 'localhost', port: 7000 }],
    ['worker_2.example:4001', { multiaddr: '/dns/worker_2.example/tcp/4001', host: 'worker_2.example', port: 4001 }],
    ['[::1]:7000', { multiaddr: '/ip6/::1/tcp/7000', host: '::1', port: 7000 }],
    [
      `/dns4/W1.example.org/tcp/4000/p2p/${PEER_ID}`,
      { multiaddr: '/dns4/w1.example.org/tcp/4000', host: 'w1.example.org', port: 4000, peerId: PEER_ID },
    ],
  ])('%s is understood', (text, expected) => {
    const file = four()
    file.authorities[first].workers['0'].worker_to_worker = text
    const committee = parseCommittee(file, 'test')
    expect(committee.worker(committee.indexOf(fromHex(vectors.keys[0]!.public)), 0).workerToWorker).toEqual(expected)
  })
})
