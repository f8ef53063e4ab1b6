/** Own headers: when they go out, what is in them, and what becomes of batches whose header fell out. */
import { describe, expect, test } from 'vitest'
import { CertificatesAggregator } from '../../../src/threads/primary/certificates-aggregator.js'
import { Stakes } from '../../../src/threads/primary/consensus/stakes.js'
import { PARENT_WAIT_MS_MIN } from '../../../src/threads/primary/limits.js'
import { OwnBatches } from '../../../src/threads/primary/own-batches.js'
import { Pacing } from '../../../src/threads/primary/pacing.js'
import { PayloadLimit } from '../../../src/threads/primary/payload-limit.js'
import { Proposer } from '../../../src/threads/primary/proposer.js'
import type { CertificateRecord, HeaderRecord } from '../../../src/threads/primary/records.js'
import type { Turn } from '../../../src/threads/primary/turn.js'
import { batchOf, encodeVote, PrimaryUnderTest, refused, sent, written } from '../../support/primary-under-test.js'

/** Headers that went out, each once. */
function headers(node: PrimaryUnderTest, turns: readonly Turn[] = node.turns): HeaderRecord[] {
  const all = written(turns, 'own-header').map(({ bytes }) => node.records.readHeader(bytes))
  return [...new Map(all.map((header) => [header.id, header])).values()]
}

/** It has a header of round 2 with its first batch, and the others have certified round 2 without it. */
function leftBehind(): PrimaryUnderTest {
  const node = new PrimaryUnderTest()
  node.start()
  const ones = finishRound(node, undefined, 1)
  node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
  node.wait(20)
  for (const certificate of node.round(2, ones)) node.receive(1, certificate)
  return node
}

/** The others certify a round, all of them with us, and their certificates come. Ours is certified if it is made. */
function finishRound(
  node: PrimaryUnderTest,
  parents: readonly CertificateRecord[] | undefined,
  round: number,
): CertificateRecord[] {
  const others = node.round(round, parents)
  for (const certificate of others) node.receive(certificate.header.author, certificate)
  const own = headers(node).find((header) => header.round === round)
  if (own !== undefined) for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, own)))
  return others
}

const sequences = (header: HeaderRecord | undefined): bigint[] =>
  (header?.payload ?? []).map(({ sequence }) => sequence!)

describe('a header of ours', () => {
  test('is written in the turn in which it is sent, and sent when it is durable', () => {
    const node = new PrimaryUnderTest()
    const turn = node.start()
    expect(sent(turn, 'header')).toMatchObject([{ to: 'all', afterDurable: true }])
    expect(written(turn, 'own-header')[0]!.bytes).toEqual(sent(turn, 'header')[0]!.bytes)
    expect(headers(node, [turn])[0]).toMatchObject({ round: 1, author: 0, createdAt: node.unixMs })
  })

  test('goes out as soon as there is work and the round is complete, after the least delay', () => {
    const node = new PrimaryUnderTest()
    node.start()
    finishRound(node, undefined, 1)
    expect(headers(node)).toHaveLength(1)
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    const [last] = node.turns.slice(-1)
    expect(last!.wakeAtMs).toBe(1020)
    node.wait(20)
    expect(headers(node).map(({ round }) => round)).toEqual([1, 2])
    expect(sequences(headers(node)[1])).toEqual([1n])
    expect(headers(node)[1]!.parents).toHaveLength(4)
  })

  test('comes a second after the one before when there is nothing to order', () => {
    const node = new PrimaryUnderTest()
    node.start()
    finishRound(node, undefined, 1)
    expect(node.turns.at(-1)!.wakeAtMs).toBe(2000)
    node.wait(999)
    expect(headers(node)).toHaveLength(1)
    node.wait(1)
    expect(headers(node)).toHaveLength(2)
  })

  test('does not wait for a timer when another has work', () => {
    const node = new PrimaryUnderTest()
    node.start()
    const batch = batchOf(1, 1)
    node.handle({ type: 'others-batch', batch })
    const certificates = [1, 2, 3].map((author) =>
      node.certificate(node.header(author, 1, { payload: author === 1 ? [batch] : [] })),
    )
    for (const certificate of certificates) node.receive(1, certificate)
    const own = headers(node)[0]!
    for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, own)))
    expect(node.turns.at(-1)!.wakeAtMs).toBe(1020)
  })

  test('does not wait for a timer either when we voted for one with work', () => {
    const node = new PrimaryUnderTest()
    node.start()
    const parents = finishRound(node, undefined, 1).map(({ header }) => header.idBytes)
    const batch = batchOf(1, 1)
    node.handle({ type: 'others-batch', batch })
    expect(node.turns.at(-1)!.wakeAtMs).toBe(2000)
    node.receive(1, node.header(1, 2, { parents, payload: [batch] }))
    expect(node.turns.at(-1)!.wakeAtMs).toBe(1020)
  })

  test('waits a little for the certificate of an authority that answered lately, and has it as a parent', () => {
    const node = new PrimaryUnderTest()
    node.start()
    const ones = finishRound(node, undefined, 1)
    for (const sequence of [1, 2]) node.handle({ type: 'own-batch', batch: batchOf(0, sequence) })
    node.wait(20)
    const second = headers(node)[1]!
    node.wait(20)
    const [first, next, late] = node.round(2, ones)
    for (const certificate of [first!, next!]) node.receive(certificate.header.author, certificate)
    for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, second)))
    expect(node.primary.status.quorumRound).toBe(2)
    expect(headers(node)).toHaveLength(2)
    expect(node.turns.at(-1)!.wakeAtMs).toBe(node.ms + PARENT_WAIT_MS_MIN)
    node.receive(3, late!)
    expect(headers(node)[2]!.parents).toHaveLength(4)
  })

  test('is made with a longer delay under load, and with the least again when the load is gone', () => {
    const node = new PrimaryUnderTest()
    node.start()
    for (let turn = 0; turn < 50; turn += 1) node.handle({ type: 'load', lagMs: 30 })
    expect(node.primary.status.headerDelayMs).toBe(60)
    for (let turn = 0; turn < 50; turn += 1) node.handle({ type: 'load', lagMs: 0 })
    expect(node.primary.status.headerDelayMs).toBe(20)
  })

  test('waits for our own certificate for a while, and then gives it up and proposes its batches again', () => {
    const node = leftBehind()
    expect(headers(node)).toHaveLength(2)
    node.wait(249)
    expect(headers(node)).toHaveLength(2)
    node.wait(1)
    expect(headers(node)).toHaveLength(3)
    expect(sequences(headers(node)[2])).toEqual([1n])
  })

  test('that was given up is certified by votes that come late', () => {
    const node = leftBehind()
    node.wait(250)
    const [, second, third] = headers(node)
    expect(third!.round).toBe(3)
    node.drain()
    for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, second!)))
    expect(written(node.turns, 'certificate')).toMatchObject([{ round: 2, author: 0 }])
    expect(refused(node.receive(3, encodeVote(node.vote(3, second!))))).toEqual(['vote-late'])
    for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, third!)))
    expect(written(node.turns, 'certificate').at(-1)).toMatchObject({ round: 3, author: 0 })
    expect(node.turns.some(({ stopped }) => stopped !== undefined)).toBe(false)
  })

  test('jumps to the round above the highest quorum when it was left behind', () => {
    const node = new PrimaryUnderTest()
    node.start()
    let parents = node.round(1)
    for (const certificate of parents) node.receive(1, certificate)
    for (const round of [2, 3, 4]) {
      parents = node.round(round, parents)
      for (const certificate of parents) node.receive(1, certificate)
    }
    expect(headers(node).at(-1)).toMatchObject({ round: 5 })
    expect(new Set(headers(node).map(({ round }) => round)).size).toBe(headers(node).length)
  })

  test('has at most 512 batches, the oldest', () => {
    const node = new PrimaryUnderTest()
    node.start()
    for (let sequence = 600; sequence >= 1; sequence -= 1)
      node.handle({ type: 'own-batch', batch: batchOf(0, sequence) })
    finishRound(node, undefined, 1)
    node.wait(20)
    const [, header] = headers(node)
    expect(header!.payload).toHaveLength(512)
    // They came in this order: the oldest are those that wait longest.
    expect(Math.min(...sequences(header).map(Number))).toBe(89)
    expect(node.primary.status).toMatchObject({ ownBatchesWaiting: 88, ownBatchesListed: 512 })
  })

  test('never has a time before that of the one before, whatever our clock does', () => {
    const node = new PrimaryUnderTest()
    node.start()
    finishRound(node, undefined, 1)
    node.unixMs -= 3_600_000
    node.wait(1000)
    const [first, second] = headers(node)
    expect(second!.createdAt).toBe(first!.createdAt)
  })

  test('forgets the time of one that nobody has certified, when our clock was wrong', () => {
    const node = new PrimaryUnderTest()
    node.unixMs += 10 * 365 * 86_400_000
    node.start()
    node.unixMs -= 10 * 365 * 86_400_000
    let parents = node.round(1)
    for (const certificate of parents) node.receive(certificate.header.author, certificate)
    node.wait(300)
    parents = node.round(2, parents)
    for (const certificate of parents) node.receive(certificate.header.author, certificate)
    node.wait(1000)
    const [first, ...later] = headers(node)
    expect(first!.createdAt).toBeGreaterThan(node.unixMs + 10_000)
    expect(later.length).toBeGreaterThan(0)
    for (const { createdAt } of later) expect(createdAt).toBeLessThanOrEqual(node.unixMs)
  })

  test('keeps the time of one that is certified, after a restart too: its voters hold us to it', () => {
    const node = new PrimaryUnderTest()
    node.unixMs += 300_000
    node.start()
    const [own] = headers(node)
    for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, own!)))
    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    for (const certificate of again.round(1)) again.receive(certificate.header.author, certificate)
    again.wait(1000)
    expect(headers(again)).toMatchObject([{ round: 2, createdAt: own!.createdAt }])
  })

  test('has at least the median of its parents’ times, whatever our clock says', () => {
    const node = new PrimaryUnderTest()
    node.start()
    const times = [300_000, 310_000, 9_000_000]
    for (const [at, author] of [1, 2, 3].entries()) {
      node.receive(author, node.certificate(node.header(author, 1, { createdAt: node.unixMs + times[at]! })))
    }
    node.wait(300)
    node.wait(1000)
    expect(headers(node).at(-1)).toMatchObject({ round: 2, createdAt: node.unixMs - 1300 + 310_000 })
  })

  test('is sent again to those who have not voted', () => {
    const node = new PrimaryUnderTest()
    node.start()
    const own = headers(node)[0]!
    node.receive(1, encodeVote(node.vote(1, own)))
    const turn = node.wait(1000)
    expect(sent(turn, 'header')).toMatchObject([
      { to: 2, afterDurable: true },
      { to: 3, afterDurable: true },
    ])
    expect(sent(turn, 'header')[0]!.bytes).toEqual(own.bytes)
  })

  test('is sent to a peer that connects again', () => {
    const node = new PrimaryUnderTest()
    node.start()
    node.handle({ type: 'peer-disconnected', peer: 2 })
    expect(sent(node.handle({ type: 'peer-connected', peer: 2 }), 'header')).toMatchObject([{ to: 2 }])
  })
})

describe('a certificate of ours that nobody links', () => {
  /** Our header of round 2 lists a batch and is certified, the next one is not. These of the others link it. */
  function afterTwoRounds(linking: readonly number[]): PrimaryUnderTest {
    const node = new PrimaryUnderTest({ gcDepth: 50 })
    node.start()
    const zeros = finishRound(node, undefined, 1)
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    node.wait(20)
    const ones = finishRound(node, zeros, 2)
    const own = node.certificate(headers(node)[1]!)
    node.wait(20)
    for (const author of [1, 2, 3]) {
      const parents = linking.includes(author) ? [...ones, own] : ones
      for (const certificate of node.round(3, parents, [author])) node.receive(author, certificate)
    }
    node.wait(1000)
    return node
  }

  test('has its batches proposed again in the next header, long before it is too old', () => {
    const node = afterTwoRounds([])
    expect(headers(node).map((header) => sequences(header))).toEqual([[], [1n], [], [1n]])
  })

  test('is one that somebody links otherwise', () => {
    const node = afterTwoRounds([2])
    expect(headers(node).map((header) => sequences(header))).toEqual([[], [1n], [], []])
  })
})

describe('a batch of ours that no quorum can get', () => {
  /** Runs rounds in which the others vote for our header unless it lists `culprit`; returns what was certified. */
  function run(node: PrimaryUnderTest, culprit: bigint | undefined, from: number, rounds: number): bigint[] {
    const certified: bigint[] = []
    let parents = from === 1 ? undefined : last
    for (let round = from; round < from + rounds; round += 1) {
      const others = node.round(round, parents)
      for (const certificate of others) node.receive(certificate.header.author, certificate)
      const own = headers(node).find((header) => header.round === round)
      if (own !== undefined && !sequences(own).includes(culprit ?? -1n)) {
        for (const voter of [1, 2]) node.receive(voter, encodeVote(node.vote(voter, own)))
        certified.push(...sequences(own))
      }
      node.wait(300)
      node.wait(1000)
      parents = others
      last = others
    }
    return certified
  }
  let last: CertificateRecord[] = []

  test('is found by halves and set aside, so that all others are certified', () => {
    const node = new PrimaryUnderTest({ gcDepth: 50 })
    for (let sequence = 1; sequence <= 40; sequence += 1)
      node.handle({ type: 'own-batch', batch: batchOf(0, sequence) })
    node.start()
    const certified = run(node, 7n, 1, 40)
    expect(new Set(certified).size).toBe(39)
    const notices = node.turns.flatMap(({ notices }) => notices)
    expect(notices.filter(({ type }) => type === 'batch-unobtainable')).toEqual([
      { type: 'batch-unobtainable', batch: batchOf(0, 7) },
    ])
    // It is not forgotten: proposed alone now and then, it is certified when the others can get it.
    expect(run(node, undefined, 41, 30)).toContain(7n)
  })

  test('is nobody’s fault while headers without batches are given up as well', () => {
    const limit = new PayloadLimit()
    for (let at = 0; at < 3; at += 1) limit.givenUp(512)
    expect(limit.count).toBe(0)
    limit.givenUp(0)
    expect(limit.count).toBe(512)
  })
})

describe('after a restart', () => {
  test('the stored header is sent again, byte for byte', () => {
    const node = new PrimaryUnderTest()
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    node.drain()
    const [own] = sent(new PrimaryUnderTest({ store: node.store }).start(), 'header')
    const later = new PrimaryUnderTest({ store: node.store })
    later.unixMs += 60_000
    const turn = later.start()
    expect(sent(turn, 'header')[0]!.bytes).toEqual(own?.bytes ?? written(node.turns, 'own-header')[0]?.bytes)
    expect(written(turn, 'own-header')).toEqual([])
  })

  test('it is sent again until there are votes, as any other', () => {
    const node = new PrimaryUnderTest()
    node.start()
    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    expect(sent(again.wait(1000), 'header').map(({ to }) => to)).toEqual([1, 2, 3])
    expect(sent(again.wait(1000), 'header')).toHaveLength(3)
  })

  test('it is given up when a higher round has a quorum, and its batches are proposed again', () => {
    const node = new PrimaryUnderTest()
    node.start()
    let parents = finishRound(node, undefined, 1)
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    node.wait(20)
    expect(headers(node).at(-1)!.round).toBe(2)
    for (const round of [2, 3]) {
      parents = node.round(round, parents)
      for (const { header, bytes } of parents) {
        node.store.apply([{ type: 'certificate', round, author: header.author, digest: header.idBytes, bytes }])
      }
    }
    const again = new PrimaryUnderTest({ store: node.store })
    const turn = again.start()
    const own = headers(again, [turn])
    expect(own).toMatchObject([{ round: 4 }])
    expect(sequences(own[0])).toEqual([1n])
  })

  test('batches that are certified are not proposed again while they may be ordered', () => {
    const node = new PrimaryUnderTest()
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    node.start()
    finishRound(node, undefined, 1)
    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    expect(again.primary.status).toMatchObject({ ownBatchesWaiting: 0, ownBatchesListed: 1 })
  })
})

describe('a stall', () => {
  /** A proposer whose last header is of the highest round with a quorum; nothing is ordered. */
  function stalledAt(round: number): { proposer: Proposer; ownBatches: OwnBatches } {
    const node = new PrimaryUnderTest()
    const certificates = new CertificatesAggregator(new Stakes([1, 1, 1, 1]), [])
    let parents = node.round(1, undefined, [0, 1, 2, 3])
    for (let at = 1; at <= round; at += 1) {
      if (at > 1) parents = node.round(at, parents, [0, 1, 2, 3])
      for (const certificate of parents) certificates.add(certificate, 1000)
    }
    const ownBatches = new OwnBatches()
    const proposer = new Proposer(
      { authority: 0, gcDepth: 4, maxHeaderDelayMs: 100 },
      { certificates, ownBatches, pacing: new Pacing(0, 4, { isConnected: () => true }) },
    )
    proposer.made(parents[0]!.header, 1000)
    ownBatches.add(batchOf(0, 1))
    return { proposer, ownBatches }
  }

  test('can end: far above the last commit headers carry nothing, are slower, and there is no last round', () => {
    for (const [round, dueAtMs] of [
      [5, 1100],
      [8, 1200],
      [12, 1300],
      [60, 2000],
    ] as const) {
      const { proposer } = stalledAt(round)
      expect(proposer.dueAtMs(1000, 0)).toBe(dueAtMs)
      expect(proposer.propose({ ms: 1000, unixMs: 1 }, 0)).toMatchObject({ round: round + 1, payload: [] })
    }
  })

  test('that goes on makes ever fewer rounds, down to one in ten seconds: nothing of it can be forgotten', () => {
    const { proposer } = stalledAt(8)
    const delayMs = (rounds: number): number => proposer.dueAtMs(1000, 8 - rounds) - 1000
    expect([100, 1_000, 3_000, 10_000, 1_000_000].map(delayMs)).toEqual([1_000, 1_000, 3_000, 10_000, 10_000])
  })

  test('is none within gc_depth rounds', () => {
    const { proposer } = stalledAt(8)
    expect(proposer.dueAtMs(1000, 4)).toBe(1020)
    expect(proposer.propose({ ms: 1000, unixMs: 1 }, 4).payload).toHaveLength(1)
  })
})
