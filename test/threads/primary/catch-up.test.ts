/** Who is behind: what it asks for, of whom, and what it makes meanwhile. */
import { describe, expect, test } from 'vitest'
import { RECORD_KINDS } from '../../../src/shared/wire/primary/record.js'
import * as requests from '../../../src/shared/wire/primary/requests.js'
import { CertificatesAggregator } from '../../../src/threads/primary/certificates-aggregator.js'
import { Stakes } from '../../../src/threads/primary/consensus/stakes.js'
import { Helper } from '../../../src/threads/primary/helper.js'
import {
  BEHIND_WAIT_MS,
  CERTIFICATE_RETRY_MS,
  HISTORY_RETRY_MS,
  RANGE_BYTES_MAX,
  RANGE_REQUESTS_MAX,
  RANGE_REQUESTS_PER_PEER,
} from '../../../src/threads/primary/limits.js'
import type { CertificateRecord } from '../../../src/threads/primary/records.js'
import { type Turn, TurnBuilder } from '../../../src/threads/primary/turn.js'
import { batchOf, PrimaryUnderTest, refused, sent } from '../../support/primary-under-test.js'

const ROUNDS = 60
const rounds: CertificateRecord[][] = []
{
  const ahead = new PrimaryUnderTest()
  rounds.push(ahead.round(1))
  while (rounds.length < ROUNDS) rounds.push(ahead.round(rounds.length + 1, rounds.at(-1)!))
}
const upTo = (round: number): CertificateRecord[] => rounds.slice(0, round).flat()
const range = ({ from, to }: requests.RoundRange): CertificateRecord[] => rounds.slice(from - 1, to).flat()

interface Asked extends requests.RoundRange {
  readonly peer: number
}

function asked(turns: Turn | readonly Turn[]): Asked[] {
  return sent(turns, 'range-request').map(({ bytes, to: peer }) => ({
    ...requests.decodeRangeRequest(bytes),
    peer: peer as number,
  }))
}

const answerTo = ({ from, to }: requests.RoundRange, lowest = 1): Uint8Array =>
  requests.encodeRangeAnswer({ from, to, lowest })

/** What all of an answer leads to. */
function answer(node: PrimaryUnderTest, { peer, ...piece }: Asked, certificates = range(piece)): Turn[] {
  return [
    ...certificates.map((certificate) => node.receive(peer, certificate)),
    node.receive(peer, answerTo({ from: piece.from, to: Math.min(piece.to, ROUNDS) })),
  ]
}

function behind(gcDepth = 20): { node: PrimaryUnderTest; first: Asked[] } {
  const node = new PrimaryUnderTest({ gcDepth })
  node.start()
  for (const peer of [1, 2, 3]) node.receive(peer, rounds.at(-1)![peer - 1]!)
  return { node, first: asked(node.drain()) }
}

describe('who is far behind', () => {
  test('asks several peers for a part each of the rounds that may wait, and for the next ones when they are there', () => {
    const { first, node } = behind()
    expect(first).toHaveLength(RANGE_REQUESTS_MAX)
    expect(new Set(first.map(({ peer }) => peer)).size).toBe(3)
    expect([first[0]!.from, first.at(-1)!.to]).toEqual([1, 20])
    for (const [at, { from }] of first.slice(1).entries()) expect(from).toBe(first[at]!.to + 1)
    const open = [...first]
    let count = first.length
    while (open.length > 0) {
      const more = asked(answer(node, open.shift()!))
      open.push(...more)
      count += more.length
      for (const peer of [1, 2, 3]) {
        expect(open.filter((each) => each.peer === peer).length).toBeLessThanOrEqual(RANGE_REQUESTS_PER_PEER)
      }
    }
    expect(node.primary.status.quorumRound).toBe(ROUNDS)
    expect(count).toBeLessThanOrEqual(ROUNDS / 5 + 2)
    expect(refused(node.turns)).toEqual([])
  })

  test('takes the parts in any order, verifies each certificate once, and asks for no parent that is on its way', () => {
    const { first, node } = behind()
    const before = node.keys.verified
    const turns = first.reverse().flatMap((piece) => answer(node, piece))
    const certificates = range({ from: 1, to: 20 }).length
    // A header and three votes.
    expect(node.keys.verified - before).toBe(4 * certificates)
    expect(sent(turns, 'certificates-request')).toEqual([])
    expect(node.primary.status).toMatchObject({ quorumRound: 20, certificatesWaiting: 0, certificatesWanted: 0 })
  })

  test('asks another peer for what one does not send in time, and not that one again at once', () => {
    const { first, node } = behind()
    const slow = first[0]!
    for (const piece of first.slice(1)) answer(node, piece)
    node.drain()
    const again = asked(node.wait(CERTIFICATE_RETRY_MS))
    expect(again.map(({ from, to }) => ({ from, to }))).toEqual([{ from: slow.from, to: slow.to }])
    expect(again[0]!.peer).not.toBe(slow.peer)
    answer(node, again[0]!)
    expect(node.primary.status.quorumRound).toBeGreaterThanOrEqual(20)
    expect(asked(node.drain()).map(({ peer }) => peer)).not.toContain(slow.peer)
  })

  test('asks another peer at once for what one says that it has sent and has not', () => {
    const { first, node } = behind()
    const lied = first[0]!
    const [again] = asked(answer(node, lied, []))
    expect(again).toMatchObject({ from: lied.from, to: lied.to })
    expect(again!.peer).not.toBe(lied.peer)
  })

  test('waits for no end of a part that comes byte by byte', () => {
    const { first, node } = behind()
    const slow = first[0]!
    for (const piece of first.slice(1)) answer(node, piece)
    const found: Asked[] = []
    for (const certificate of range(slow)) {
      node.receive(slow.peer, certificate)
      found.push(...asked(node.wait(CERTIFICATE_RETRY_MS - 1)))
    }
    expect(found.some(({ peer, to }) => peer !== slow.peer && to === slow.to)).toBe(true)
  })

  test('is woken for what is late only: no turn leads to the next one at once', () => {
    const { node } = behind()
    for (let turn = 0; turn < 40; turn += 1) {
      const { wakeAtMs } = node.handle({ type: 'timer' })
      expect(wakeAtMs).toBeGreaterThan(node.ms)
      node.wait(wakeAtMs - node.ms)
    }
  })

  test('asks the peers that are left when one goes away, and all again when they are back', () => {
    const { first, node } = behind()
    node.handle({ type: 'peer-disconnected', peer: 1 })
    node.drain()
    node.handle({ type: 'peer-disconnected', peer: 2 })
    const turns = answer(node, first.find(({ peer }) => peer === 3)!)
    expect(new Set(asked(turns).map(({ peer }) => peer))).toEqual(new Set([3]))
    node.handle({ type: 'peer-disconnected', peer: 3 })
    node.drain()
    node.wait(60_000)
    expect(asked(node.drain())).toEqual([])
    node.handle({ type: 'peer-connected', peer: 1 })
    expect(asked(node.drain()).length).toBeGreaterThan(0)
  })

  test('hears nothing, and asks one peer for its last rounds, so that lost messages are no stall', () => {
    const node = new PrimaryUnderTest({ gcDepth: 4 })
    node.start()
    expect(asked(node.wait(2000))).toEqual([])
    const [piece, ...more] = asked(node.wait(600))
    expect(more).toEqual([])
    expect(piece!.to).toBeGreaterThan(piece!.from)
  })
})

describe('headers', () => {
  const madeBy = (node: PrimaryUnderTest): number[] =>
    node.drain().flatMap(({ notices }) => notices.flatMap((each) => (each.type === 'header-created' ? each.round : [])))

  test('are not made for rounds long past: the first one is of a round that others are in', () => {
    const { first, node } = behind()
    node.drain()
    const open = [...first]
    for (let piece = open.shift(); piece !== undefined; piece = open.shift()) open.push(...asked(answer(node, piece)))
    const [round, ...more] = madeBy(node)
    expect(round).toBeGreaterThan(ROUNDS - 5)
    expect(more.length).toBeLessThan(5)
  })

  test('are made after all when no further round comes, since the others may be waiting', () => {
    const { node } = behind()
    for (const certificate of upTo(10)) node.receive(1, certificate)
    madeBy(node)
    node.wait(BEHIND_WAIT_MS - 1)
    expect(madeBy(node)).toEqual([])
    node.wait(1)
    expect(madeBy(node)).toEqual([11])
  })

  test('are not made while much that others have said is not handled', () => {
    const node = new PrimaryUnderTest()
    node.start()
    node.handle({ type: 'backlog', peers: [1, 2] })
    node.drain()
    for (const certificate of upTo(30)) node.receive(certificate.header.author, certificate)
    expect(madeBy(node)).toEqual([])
    node.handle({ type: 'backlog', peers: [] })
    expect(madeBy(node)).toEqual([31])
  })

  test('are made whatever comes of those that may be lying, however much', () => {
    const made = [[], [1]].map((peers) => {
      const node = new PrimaryUnderTest()
      node.start()
      node.handle({ type: 'backlog', peers })
      for (const certificate of upTo(5)) node.receive(certificate.header.author, certificate)
      return madeBy(node)
    })
    expect(made[1]).toEqual(made[0])
    expect(made[0]!.length).toBeGreaterThan(1)
  })
})

describe('who was away for longer than the others keep certificates', () => {
  const gone = (node: PrimaryUnderTest): object[] =>
    node.drain().flatMap(({ notices }) => notices.filter(({ type }) => type === 'history-gone'))

  /** By certificates, or the log itself. */
  const forWhatIsGone = (turns: Turn | readonly Turn[]): { peer: number }[] => [
    ...asked(turns),
    ...sent(turns, 'history-request').map(({ to }) => ({ peer: to as number })),
  ]

  function without(peers: readonly number[]): PrimaryUnderTest {
    const { first, node } = behind()
    node.drain()
    for (const peer of peers) {
      const piece = first.find((each) => each.peer === peer)!
      node.receive(peer, answerTo({ from: piece.from, to: piece.from - 1 }, 40))
    }
    return node
  }

  test('says so once, asks now and then, and signs nothing', () => {
    const node = without([1, 2, 3])
    const signedBefore = node.keys.signed
    expect(gone(node)).toEqual([{ type: 'history-gone', round: 0, lowest: 40 }])
    expect(node.primary.status.isHistoryGone).toBe(true)
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    let requestCount = 0
    for (let ms = 0; ms < 3 * HISTORY_RETRY_MS; ms += 500) {
      const turn = node.wait(500)
      requestCount += forWhatIsGone(turn).length
      // Else it would be woken again and again.
      expect(turn.wakeAtMs).toBeGreaterThan(node.ms)
    }
    // A few for certificates, and as many for the log itself.
    expect(requestCount).toBeLessThanOrEqual(2 * 3 * RANGE_REQUESTS_MAX)
    expect(requestCount).toBeGreaterThan(0)
    expect([gone(node), node.keys.signed - signedBefore]).toEqual([[], 0])
    expect(node.primary.status).toMatchObject({ lastCommit: 0, isHistoryGone: true })
  })

  test('goes on when one of them has it, or comes back with it', () => {
    expect(without([1, 2]).primary.status.isHistoryGone).toBe(false)
    const node = without([1, 2, 3])
    node.handle({ type: 'peer-disconnected', peer: 2 })
    node.drain()
    node.handle({ type: 'peer-connected', peer: 2 })
    expect(node.primary.status.isHistoryGone).toBe(false)
    let isAsked = false
    for (let ms = 0; ms < HISTORY_RETRY_MS; ms += 500) {
      isAsked ||= forWhatIsGone(node.wait(500)).some(({ peer }) => peer === 2)
    }
    expect(isAsked).toBe(true)
  })

  test('is not said because of those that may be lying', () => {
    const node = without([1, 2, 3])
    for (const peer of [2, 3]) node.handle({ type: 'peer-disconnected', peer })
    expect(node.primary.status.isHistoryGone).toBe(false)
  })
})

describe('the answer to a request by range', () => {
  test('ends with how far it goes and what is kept', () => {
    const node = new PrimaryUnderTest({ gcDepth: 4 })
    node.start()
    for (const certificate of upTo(20)) node.receive(1, certificate)
    const end = (from: number, to: number): requests.RangeAnswer =>
      requests.decodeRangeAnswer(
        sent(node.receive(2, requests.encodeRangeRequest({ from, to })), 'range-answer')[0]!.bytes,
      )
    expect(end(3, 18)).toEqual({ from: 3, to: 18, lowest: 1 })
    expect(end(18, 40)).toEqual({ from: 18, to: 20, lowest: 1 })
    expect(end(30, 40)).toEqual({ from: 30, to: 29, lowest: 1 })
    node.store.roundsKept = 5
    const { gcRound } = node.primary.status
    expect(end(1, 4)).toEqual({ from: 1, to: 4, lowest: gcRound - 4 })
  })

  test('is bounded in bytes, and goes on within a round where it broke off', () => {
    const certificates = new CertificatesAggregator(new Stakes([1, 1, 1, 1]), [])
    const big = new Uint8Array(RANGE_BYTES_MAX / 2)
    for (const round of [1, 2]) {
      for (const author of [0, 1, 2, 3]) {
        const header = { round, author }
        certificates.add({ digest: `${round} ${author}`, header, bytes: Uint8Array.of(...[round, author]) } as never, 0)
        Object.assign(certificates.of(round, author)!, { bytes: Object.assign(big.slice(), [round, author]) })
      }
    }
    const helper = new Helper(4, { certificates, store: { lowestRound: 1 } as never })
    const ask = (ms: number, from: number): unknown[] => {
      const turn = new TurnBuilder({ ms, unixMs: ms })
      helper.answerRange(2, { from, to: 2 }, 0, turn)
      return turn.sends.map(({ bytes }) =>
        bytes[1] === RECORD_KINDS['range-answer'] && bytes.length === 32
          ? requests.decodeRangeAnswer(bytes).to
          : [bytes[0], bytes[1]],
      )
    }
    expect(ask(0, 1)).toEqual([[1, 0], [1, 1], 0])
    expect(ask(1000, 1)).toEqual([[1, 2], [1, 3], 1])
    expect(ask(2000, 2)).toEqual([[2, 0], [2, 1], 1])
    // Whoever has lost the first part asks once more.
    expect(ask(3000, 1)).toEqual([[1, 0], [1, 1], 0])
  })
})
