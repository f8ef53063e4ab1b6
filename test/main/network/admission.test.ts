/** Who keeps a place before the hello, and who loses it to whom: the decisions, without sockets. */
import { describe, expect, test } from 'vitest'
import { Admission, type Stage, type Ticket } from '../../../src/main/network/admission.js'
import { MEMBER_PLACES, MEMBER_SOURCES_MAX } from '../../../src/main/network/limits.js'
import { isSpecialHost } from '../../../src/main/network/special-hosts.js'
import { sourceOf } from '../../../src/shared/wire/source-address.js'
import { seeded } from '../../support/random.js'

const MEMBER = '10.0.0.1'
const admission = (): Admission =>
  new Admission({ members: [{ index: 1, host: MEMBER }], strangerPlaces: 16, sourcePlaces: 8, timeoutMs: 5_000 })

/** Lets `count` connections come from a host, and says which are left of them. */
function arrive(door: Admission, host: string, count: number, stage: Stage = 'silent', nowMs = 0): Ticket[] {
  return Array.from({ length: count }, () => {
    const { ticket } = door.arrive(host, nowMs)
    if (stage !== 'silent') door.advance(ticket, stage)
    return ticket
  })
}
const kept = (tickets: readonly Ticket[]): Ticket[] => tickets.filter(({ stage }) => stage !== 'left')

describe('a member whose host is a name', () => {
  const named = (): Admission =>
    new Admission({ members: [{ index: 1, host: 'worker-1' }], strangerPlaces: 16, sourcePlaces: 8, timeoutMs: 5_000 })

  test('has its places at the addresses of the name, and none at those that were its before', () => {
    const door = named()
    door.relist(1, ['10.0.0.1', 'fd00::1'])
    const [first] = arrive(door, '10.0.0.1', 1)
    const [second] = arrive(door, 'fd00::1', 1)
    for (let i = 0; i < 40; i += 1) arrive(door, `192.0.2.${i}`, 1)
    expect([first!.stage, second!.stage]).toEqual(['silent', 'silent'])
    door.relist(1, ['10.0.0.2'])
    const [moved] = arrive(door, '10.0.0.2', 1)
    for (let i = 0; i < 40; i += 1) arrive(door, `198.51.100.${i}`, 1)
    expect([first!.stage, second!.stage, moved!.stage]).toEqual(['left', 'left', 'silent'])
  })
})

describe('places', () => {
  test.each<Stage>(['silent', 'handshake', 'hello'])(
    'of one source are its share, its newest connections: %s',
    (stage) => {
      const door = admission()
      const tickets = arrive(door, '192.0.2.1', 100, stage)
      expect(kept(tickets)).toEqual(tickets.slice(-8))
      expect(door.size).toBe(8)
    },
  )

  test('of many sources are bounded together, and the one that holds most loses first', () => {
    const door = admission()
    const hoard = arrive(door, '192.0.2.1', 8)
    const second = arrive(door, '192.0.2.2', 4)
    const many = Array.from({ length: 8 }, (_, i) => arrive(door, `198.51.100.${i}`, 1)[0]!)
    expect(door.size).toBe(16)
    expect(kept(hoard)).toEqual(hoard.slice(-4))
    expect([...kept(second), ...kept(many)]).toEqual([...second, ...many])
  })

  test('of sources with one connection each go to the newest, and a member’s are not among them', () => {
    const door = admission()
    const members = arrive(door, MEMBER, MEMBER_PLACES)
    const bots = Array.from({ length: 10_000 }, (_, i) => arrive(door, `100.64.${i >> 8}.${i & 255}`, 1)[0]!)
    expect(kept(members)).toEqual(members)
    expect(kept(bots)).toEqual(bots.slice(-16))
  })

  test('of each stage are apart: those who say nothing take none from those who go on, nor the other way', () => {
    const door = admission()
    const speaking = arrive(door, MEMBER, 3, 'handshake')
    const said = arrive(door, MEMBER, 3, 'hello')
    const silent = arrive(door, MEMBER, 1_000)
    expect([...kept(speaking), ...kept(said)]).toEqual([...speaking, ...said])
    const newcomer = arrive(door, MEMBER, 1)
    arrive(door, MEMBER, 1_000, 'hello')
    expect(kept(silent).length + kept(newcomer).length).toBeGreaterThan(0)
  })

  test('of a member’s source are its own and a share beside, and strangers elsewhere change nothing of that', () => {
    const door = admission()
    const tickets = arrive(door, MEMBER, 100)
    expect(kept(tickets)).toHaveLength(MEMBER_PLACES + 8)
    for (let i = 0; i < 100; i += 1) arrive(door, `192.0.2.${i}`, 8)
    expect(kept(tickets).length).toBeGreaterThanOrEqual(MEMBER_PLACES)
  })

  test('of several members at one address add up', () => {
    const members = [1, 2, 3].map((index) => ({ index, host: '127.0.0.1' }))
    const door = new Admission({ members, strangerPlaces: 16, sourcePlaces: 8 })
    expect(kept(arrive(door, '127.0.0.1', 100))).toHaveLength(3 * MEMBER_PLACES + 8)
  })

  test('with a known member’s key are lost to nothing but newer connections with the same key', () => {
    const door = admission()
    const [proved] = arrive(door, '192.0.2.1', 1, 'handshake') as [Ticket]
    door.prove(proved, 1)
    for (const stage of ['silent', 'handshake', 'hello'] as const) {
      arrive(door, '192.0.2.1', 1_000, stage)
      for (let i = 0; i < 255; i += 1) arrive(door, `192.0.2.${i}`, 8, stage)
    }
    expect(proved.stage).toBe('member')
    const others = arrive(door, '192.0.2.1', 8, 'handshake')
    for (const ticket of others) door.prove(ticket, 2)
    expect(proved.stage).toBe('member')
    const evicted = Array.from({ length: MEMBER_PLACES }, () => {
      const [newer] = arrive(door, '192.0.2.1', 1, 'handshake')
      return door.prove(newer!, 1)
    }).filter((it) => it !== undefined)
    expect(evicted).toEqual([{ ticket: proved, stage: 'member' }])
  })

  test('with a known member’s key are free again when their connections leave or are verified', () => {
    const door = admission()
    for (let i = 0; i < 3 * MEMBER_PLACES; i += 1) {
      const [ticket] = arrive(door, '192.0.2.1', 1, 'handshake') as [Ticket]
      expect(door.prove(ticket, 1)).toBeUndefined()
      if (i % 2 === 0) door.leave(ticket)
      else door.verify(ticket, 1)
    }
  })

  test('are free again when their connections leave, at any stage and more than once', () => {
    const door = admission()
    const random = seeded(7)
    for (let round = 0; round < 500; round += 1) {
      const { ticket } = door.arrive(`192.0.2.${Math.floor(random() * 4)}`, round)
      if (random() < 0.7) door.advance(ticket, 'handshake')
      if (random() < 0.5) door.advance(ticket, 'hello')
      if (random() < 0.3) door.prove(ticket, Math.floor(random() * 3))
      if (random() < 0.2) door.verify(ticket, 1)
      if (random() < 0.5) door.leave(ticket)
      if (random() < 0.5) door.leave(ticket)
    }
    for (const ticket of door.overdue(Number.POSITIVE_INFINITY)) door.leave(ticket)
    expect(door.size).toBe(0)
    const [first] = arrive(door, '192.0.2.1', 8)
    expect(first!.stage).toBe('silent')
  })

  test('come back to nobody who has lost his: a step that comes too late changes nothing', () => {
    const door = admission()
    const [late] = arrive(door, '192.0.2.1', 9) as [Ticket]
    expect(door.advance(late, 'handshake')).toBeUndefined()
    expect(door.prove(late, 1)).toBeUndefined()
    expect([late.stage, door.size]).toEqual(['left', 8])
  })
})

describe('a member’s sources', () => {
  test('are where it was verified last, too', () => {
    const door = admission()
    const [moved] = arrive(door, '192.0.2.7', 1, 'hello') as [Ticket]
    door.verify(moved, 1)
    expect(door.size).toBe(0)
    const tickets = arrive(door, '192.0.2.7', MEMBER_PLACES)
    for (let i = 0; i < 64; i += 1) arrive(door, `198.51.100.${i}`, 1)
    expect(kept(tickets)).toEqual(tickets)
  })

  test('are few: a member that shows itself everywhere keeps no places everywhere', () => {
    const door = admission()
    for (let i = 0; i < 50; i += 1) door.verify(door.arrive(`192.0.2.${i}`, 0).ticket, 1)
    const held = Array.from({ length: 50 }, (_, i) => arrive(door, `192.0.2.${i}`, 1)[0]!)
    for (let i = 0; i < 64; i += 1) arrive(door, `198.51.100.${i}`, 1)
    expect(kept(held)).toEqual(held.slice(-MEMBER_SOURCES_MAX))
  })
})

test('the time for a hello runs from the arrival, whatever was said meanwhile', () => {
  const door = admission()
  const slow = arrive(door, '192.0.2.1', 1, 'silent', 0)
  const talking = arrive(door, '192.0.2.2', 1, 'hello', 1_000)
  const proved = arrive(door, '192.0.2.3', 1, 'handshake', 2_000)
  door.prove(proved[0]!, 1)
  expect(door.overdue(4_999)).toEqual([])
  expect(door.overdue(5_000)).toEqual(slow)
  expect(door.overdue(6_999)).toEqual([...slow, ...talking])
  expect(door.overdue(7_000)).toEqual([...slow, ...talking, ...proved])
})

describe('hosts', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s is of the source %s', (host, source) => {
    expect(sourceOf(host)).toBe(source)
  })

  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '100.100.100.200',
    '::1',
    '::',
    'fe80::1',
    'FE80::1%2',
    'febf::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::7f00:1',
    '64:ff9b::7f00:1',
    'fd00:ec2::254',
    'localhost',
    'x.localhost',
  ])('%s is special', (host) => {
    expect(isSpecialHost(host)).toBe(true)
  })

  test.each([
    '10.0.0.1',
    '192.168.1.1',
    '1.1.1.1',
    '2001:db8::1',
    'fd00::1',
    'fec0::1',
    'peer.example',
    '::ffff:10.0.0.1',
  ])('%s is not', (host) => {
    expect(isSpecialHost(host)).toBe(false)
  })
})
