/** What the primary votes for, what it refuses, and what it does with votes and certificates. */
import { describe, expect, test } from 'vitest'
import type { Evidence } from '../../../src/shared/wire/primary/evidence.js'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import { HEADER_ADOPTED_MAX } from '../../../src/shared/wire/primary/limits.js'
import { encodeVote } from '../../../src/shared/wire/primary/vote.js'
import { PAYLOAD_GRACE_MS } from '../../../src/threads/primary/limits.js'
import type { HeaderRecord } from '../../../src/threads/primary/records.js'
import { recovering } from '../../../src/threads/primary/stored-state.js'
import type { Turn } from '../../../src/threads/primary/turn.js'
import {
  batchOf,
  DIGEST,
  PrimaryUnderTest,
  refused,
  sent,
  UNIX_MS,
  votesIn,
  written,
} from '../../support/primary-under-test.js'

const evidenceIn = (turns: Turn | readonly Turn[]): Evidence[] =>
  written(turns, 'evidence').map(({ evidence }) => evidence)

function started(options = {}): PrimaryUnderTest {
  const node = new PrimaryUnderTest(options)
  node.start()
  node.drain()
  return node
}

describe('a header', () => {
  test('gets a vote, which is written before it is sent, and to its author only', () => {
    const node = started()
    const header = node.header(1, 1)
    const turn = node.receive(1, header)
    expect(votesIn(turn)).toEqual([header.id])
    expect(sent(turn, 'vote')).toMatchObject([{ to: 1, afterDurable: true }])
    expect(written(turn, 'vote')[0]!.bytes).toEqual(sent(turn, 'vote')[0]!.bytes)
  })

  test('gets the same vote again, and another of its round never', () => {
    const node = started()
    const first = node.header(1, 1)
    const second = node.header(1, 1, { createdAt: first.createdAt + 1 })
    const [vote] = sent(node.receive(1, first), 'vote')
    expect(sent(node.receive(1, first), 'vote')).toEqual([vote])
    node.wait(10)
    const turn = node.receive(1, second)
    expect(votesIn(turn)).toEqual([])
    expect(refused(turn)).toEqual(['header-second'])
    expect(evidenceIn(turn)).toMatchObject([
      { kind: 'headers', accused: 1, round: 1, first: first.bytes, second: second.bytes },
    ])
    expect(written(node.receive(1, second), 'evidence')).toEqual([])
  })

  test('gets no other vote after a restart either', () => {
    const node = started()
    const first = node.header(1, 1)
    const [vote] = sent(node.receive(1, first), 'vote')
    const again = started({ store: node.store })
    expect(sent(again.receive(1, first), 'vote')).toEqual([vote])
    again.wait(10)
    expect(votesIn(again.receive(1, again.header(1, 1)))).toEqual([])
  })

  test('of a round below the last vote for its author is refused', () => {
    const node = started()
    const parents = node.round(1)
    for (const certificate of parents) node.receive(certificate.header.author, certificate)
    const later = node.header(1, 2, { parents: parents.map(({ header }) => header.idBytes) })
    expect(votesIn(node.receive(1, later))).toEqual([later.id])
    expect(refused(node.receive(1, node.header(1, 1, { createdAt: 5 })))).toEqual(['header-older'])
  })

  test('waits for its parents, which are asked of its author, and then gets its vote', () => {
    const node = started()
    const parents = node.round(1)
    const header = node.header(1, 2, { parents: parents.map(({ header }) => header.idBytes) })
    const turn = node.receive(1, header)
    expect(votesIn(turn)).toEqual([])
    expect(sent(turn, 'certificates-request')).toMatchObject([{ to: 1, afterDurable: false }])
    const turns = parents.map((certificate) => node.receive(2, certificate))
    expect(votesIn(turns)).toEqual([header.id])
  })

  test('waits for its batches, which our own worker is told to get, and then gets its vote', () => {
    const node = started()
    const batch = batchOf(1, 1)
    const header = node.header(1, 1, { payload: [batch] })
    const turn = node.receive(1, header)
    expect(votesIn(turn)).toEqual([])
    expect(turn.workerRequests).toEqual([{ type: 'synchronize', worker: 0, author: 1, digests: [batch.digest] }])
    expect(node.receive(1, header).workerRequests).toEqual([])
    expect(node.wait(5000).workerRequests).toHaveLength(1)
    const stored = node.handle({ type: 'others-batch', batch })
    expect(votesIn(stored)).toEqual([header.id])
    expect(written(stored, 'payload')).toEqual([{ type: 'payload', batch }])
  })

  test('has its batches asked for only when its parents are here and a quorum', () => {
    const node = started()
    const parents = node.round(1)
    const payload = Array.from({ length: 512 }, (_, sequence) => batchOf(1, sequence + 1))
    const made = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
    expect(node.receive(1, node.header(1, 2, { parents: made, payload })).workerRequests).toEqual([])
    const few = parents.slice(0, 2).map(({ header }) => header.idBytes)
    node.receive(1, node.header(1, 3, { parents: few, payload }))
    const header = node.header(2, 2, { parents: parents.map(({ header }) => header.idBytes), payload: [batchOf(2, 1)] })
    expect(node.receive(2, header).workerRequests).toEqual([])
    const asked = parents.flatMap((certificate) => node.receive(2, certificate).workerRequests)
    expect(asked).toEqual([{ type: 'synchronize', worker: 0, author: 2, digests: [batchOf(2, 1).digest] }])
    expect(votesIn(node.handle({ type: 'others-batch', batch: batchOf(2, 1) }))).toEqual([header.id])
  })

  test('that lists a batch by another sequence than its bytes say gets no vote', () => {
    const node = started()
    node.handle({ type: 'others-batch', batch: batchOf(1, 1) })
    const header = node.header(1, 1, { payload: [{ ...batchOf(1, 1), sequence: 2n }] })
    expect(refused(node.receive(1, header))).toEqual(['payload-untrue'])
  })

  test('that says so before we have the batch gets no vote when it comes', () => {
    const node = started()
    node.receive(1, node.header(1, 1, { payload: [{ ...batchOf(1, 1), sequence: 2n }] }))
    const turn = node.handle({ type: 'others-batch', batch: batchOf(1, 1) })
    expect(votesIn(turn)).toEqual([])
    expect(refused(turn)).toEqual(['payload-untrue'])
  })

  test('with batches of others that nobody has gets its vote at once, and nothing is fetched', () => {
    const node = started()
    const payload = Array.from({ length: HEADER_ADOPTED_MAX }, (_, at) => batchOf(at < 5 ? 0 : 2, at + 1))
    const header = node.header(1, 1, { payload })
    const turn = node.receive(1, header)
    expect(votesIn(turn)).toEqual([header.id])
    expect(turn.workerRequests).toEqual([])
  })

  test.each([
    [
      'more of others than a quarter',
      { payload: Array.from({ length: HEADER_ADOPTED_MAX + 1 }, (_, at) => batchOf(2, at + 1)) },
      'payload-of-others',
    ],
    [
      'of a worker that its author does not have',
      { payload: [{ ...batchOf(1, 1), worker: 5 }] },
      'payload-worker-unknown',
    ],
  ])('with a batch %s gets no vote', (_, fields, reason) => {
    const node = started()
    expect(refused(node.receive(1, node.header(1, 1, fields)))).toEqual([reason])
  })

  test('of an author that is ahead of our clock waits until its time, and beyond ten seconds is refused', () => {
    const node = started()
    const header = node.header(1, 1, { createdAt: node.unixMs + 9000 })
    const turn = node.receive(1, header)
    expect(votesIn(turn)).toEqual([])
    expect(votesIn(node.wait(8499))).toEqual([])
    expect(votesIn(node.wait(1))).toEqual([header.id])
    expect(votesIn(node.receive(3, node.header(3, 1, { createdAt: node.unixMs + 500 })))).toHaveLength(1)
    expect(refused(node.receive(2, node.header(2, 1, { createdAt: node.unixMs + 10_001 })))).toEqual(['created-ahead'])
  })

  test('gets its vote when all clocks have been set back since its parents were made, and no liar sets the time', () => {
    const node = started()
    const times = [300_000, 300_000, 9_000_000]
    const parents = [1, 2, 3].map((author, at) =>
      node.certificate(node.header(author, 1, { createdAt: node.unixMs + times[at]! })),
    )
    for (const certificate of parents) node.receive(1, certificate)
    const ids = parents.map(({ header }) => header.idBytes)
    const header = node.header(1, 2, { parents: ids, createdAt: node.unixMs + 300_000 })
    expect(votesIn(node.receive(1, header))).toEqual([header.id])
    const later = node.header(2, 2, { parents: ids, createdAt: node.unixMs + 309_000 })
    expect(votesIn(node.receive(2, later))).toEqual([])
    expect(votesIn(node.wait(8499))).toEqual([])
    expect(votesIn(node.wait(1))).toEqual([later.id])
    expect(refused(node.receive(3, node.header(3, 2, { parents: ids, createdAt: node.unixMs + 9_000_000 })))).toEqual([
      'created-ahead',
    ])
  })

  // So its sender pays for it: `verification-budget.ts`.
  test.each([
    ['a header', (node: PrimaryUnderTest) => node.header(1, 1, { by: new Uint8Array(32) }).bytes],
    ['a vote', (node: PrimaryUnderTest, own: HeaderRecord) => encodeVote(node.vote(1, own, new Uint8Array(32)))],
    [
      'a certificate',
      (node: PrimaryUnderTest) => {
        const header = node.header(2, 1)
        const votes = [1, 2, 3].map((voter) => node.vote(voter, header, new Uint8Array(32)))
        return node.records.certificate(header, votes).bytes
      },
    ],
  ])('or %s that is verified for nothing is refused in that turn, however often it comes', (_, spam) => {
    const node = new PrimaryUnderTest()
    const own = node.records.readHeader(sent(node.start(), 'header')[0]!.bytes)
    for (let at = 0; at < 3; at += 1) {
      const before = node.keys.verified
      expect(refused(node.receive(1, spam(node, own)))).toEqual(['signature-invalid'])
      expect(node.keys.verified).toBeGreaterThan(before)
    }
  })

  test('of a round with evidence against its author is refused unverified, and so is one of an absurd round', () => {
    const node = started()
    for (const createdAt of [1, 2]) node.receive(1, node.header(1, 1, { createdAt }))
    expect(written(node.turns, 'evidence')).toHaveLength(1)
    const before = node.keys.verified
    for (let createdAt = 3; createdAt < 10; createdAt += 1) {
      expect(refused(node.receive(1, node.header(1, 1, { createdAt })))).toEqual(['header-second'])
    }
    expect(refused(node.receive(1, node.header(1, Number.MAX_SAFE_INTEGER)))).toEqual(['round-ahead'])
    expect(node.keys.verified).toBe(before)
  })

  test.each([
    ['waits for its parents', { parents: [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill)) }],
    ['waits for its batches', { payload: [batchOf(1, 1)] }],
    ['is refused for its batches', { payload: [batchOf(2, 1)] }],
    ['is refused for its time', { createdAt: UNIX_MS + 60_000 }],
  ])('of one round twice is evidence also if the first %s', (_, fields) => {
    const node = started()
    const first = node.header(1, 3, fields)
    const second = node.header(1, 3, { ...fields, createdAt: UNIX_MS + 60_001 })
    expect(evidenceIn(node.receive(1, first))).toEqual([])
    const turn = node.receive(1, second)
    expect(evidenceIn(turn)).toMatchObject([{ accused: 1, round: 3, first: first.bytes, second: second.bytes }])
    expect(turn.notices).toContainEqual({ type: 'evidence', accused: 1, kind: 'headers', round: 3 })
    expect(turn.notices).toContainEqual({ type: 'evidence-kept', accused: 1, kind: 'headers', count: 1 })
  })

  test('twice is evidence also if the second comes in a certificate, and after a restart if the first was certified', () => {
    const node = started()
    const first = node.header(1, 1)
    node.receive(1, node.certificate(first))
    const again = started({ store: node.store })
    const second = again.header(1, 1, { createdAt: 1 })
    const [found] = evidenceIn(again.receive(1, second))
    expect(found).toMatchObject({ kind: 'headers', accused: 1, first: first.bytes, second: second.bytes })
    const third = started({ store: node.store })
    expect(third.primary.start({ ms: 1, unixMs: UNIX_MS }).notices).toContainEqual({
      ...{ type: 'evidence-kept', accused: 1, kind: 'headers', count: 1 },
    })
    const other = started()
    other.receive(1, first)
    const parents = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
    other.receive(1, other.header(1, 2, { parents }))
    const turn = other.receive(2, other.certificate(other.header(1, 2, { parents, createdAt: 1 })))
    expect(evidenceIn(turn)).toMatchObject([{ kind: 'headers', accused: 1, round: 2 }])
  })

  test('twice is evidence also after a restart, if the one that has our vote comes again', () => {
    const node = started()
    const first = node.header(1, 1)
    const second = node.header(1, 1, { createdAt: first.createdAt + 1 })
    node.receive(1, first)
    const again = started({ store: node.store })
    const [vote] = sent(again.receive(1, first), 'vote')
    expect(vote).toBeDefined()
    const turn = again.receive(1, second)
    expect(votesIn(turn)).toEqual([])
    expect(evidenceIn(turn)).toMatchObject([{ accused: 1, round: 1, first: first.bytes, second: second.bytes }])
  })

  test('that another one of its author replaces is refused in the turn of that one, however well both are signed', () => {
    const node = started()
    const parents = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
    node.receive(1, node.header(1, 2, { parents }))
    for (let at = 0; at < 3; at += 1) {
      const before = node.keys.verified
      const turn = node.receive(1, node.header(1, 3 + at, { parents }))
      expect([refused(turn), node.keys.verified]).toEqual([['header-replaced'], before + 1])
    }
  })

  test('in a round in which nothing is signed is refused in its turn, once it was verified', () => {
    const node = new PrimaryUnderTest({ state: recovering() })
    node.start()
    for (let round = 2; round <= 4; round += 1) {
      const parents = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
      expect(refused(node.receive(1, node.header(1, round, { parents })))).toEqual(['not-signing'])
    }
  })

  test('with a time before that of its author before it is refused', () => {
    const node = started()
    const parents = node.round(1)
    for (const certificate of parents) node.receive(1, certificate)
    const header = node.header(1, 2, {
      parents: parents.map(({ header }) => header.idBytes),
      createdAt: node.unixMs - 1,
    })
    expect(refused(node.receive(1, header))).toEqual(['created-before-last'])
  })

  test('is refused from anybody but its author, of another epoch, and with a signature for another committee', () => {
    const node = started()
    expect(refused(node.receive(2, node.header(1, 1)))).toEqual(['sender-other'])
    expect(refused(node.receive(1, node.header(1, 1, { epoch: 1 })))).toEqual(['epoch-other'])
    expect(refused(node.receive(1, node.header(1, 1, { by: new Uint8Array(32) })))).toEqual(['signature-invalid'])
  })

  test('is refused with parents that are no quorum, of another round, or unknown to genesis', () => {
    const node = started()
    const ones = node.round(1)
    for (const certificate of ones) node.receive(1, certificate)
    const ids = ones.map(({ header }) => header.idBytes)
    expect(refused(node.receive(1, node.header(1, 2, { parents: ids.slice(1) })))).toEqual(['parents-without-quorum'])
    expect(refused(node.receive(2, node.header(2, 3, { parents: ids })))).toEqual(['parent-of-other-round'])
    const genesis = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
    expect(refused(node.receive(3, node.header(3, 1, { parents: genesis })))).toEqual(['parent-unknown'])
  })

  test('of an absurd round is not kept, and proves nothing: its author is asked for no rounds', () => {
    const node = started()
    const parents = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
    const turn = node.receive(1, node.header(1, 1_000_000, { parents }))
    expect(refused(turn)).toEqual(['round-ahead'])
    expect(sent([turn, node.wait(500), node.wait(500)], 'range-request')).toEqual([])
    expect(node.primary.status).toMatchObject({ headersWaiting: 0, certificatesWanted: 0 })
  })

  test('waits one at a time for each author: a flood takes nobody else’s place', () => {
    const node = started()
    const honest = node.header(2, 2, { parents: node.round(1).map(({ header }) => header.idBytes) })
    node.receive(2, honest)
    for (let round = 2; round < 10; round += 1) {
      const parents = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill + 10 * round))
      node.receive(1, node.header(1, round, { parents }))
    }
    expect(node.primary.status.headersWaiting).toBe(2)
    const turns = node.round(1).map((certificate) => node.receive(2, certificate))
    expect(votesIn(turns)).toContain(honest.id)
  })

  test('is verified once, its certificate’s header not again', () => {
    const node = started()
    const header = node.header(1, 1)
    node.receive(1, header)
    const before = node.keys.verified
    node.receive(1, header)
    expect(node.keys.verified).toBe(before)
    node.receive(1, node.certificate(header, [0, 1, 2].filter((voter) => voter > 0).concat(3)))
    expect(node.keys.verified).toBe(before + 3)
  })
})

describe('records that are none', () => {
  test.each([
    ['an unknown kind', Uint8Array.of(1, 99)],
    ['another version', Uint8Array.of(9, 1)],
    ['nothing', new Uint8Array()],
  ])('%s are refused', (_, bytes) => {
    expect(refused(started().receive(1, bytes))).toEqual(['message-unknown'])
  })

  test('a header of round 0, with a parent twice, or with batches out of order is malformed', () => {
    const node = started()
    const whole = node.header(1, 1, { payload: [batchOf(1, 1), batchOf(1, 2)] }).bytes
    const roundZero = Uint8Array.from(whole).fill(0, 12, 20)
    const parentTwice = Uint8Array.from(whole)
    parentTwice.copyWithin(64, 32, 64)
    const unsorted = Uint8Array.from(whole)
    const at = 32 + 4 * 32
    unsorted.set(whole.subarray(at + 48, at + 96), at)
    unsorted.set(whole.subarray(at, at + 48), at + 48)
    for (const bytes of [roundZero, parentTwice, unsorted, whole.subarray(1), whole.subarray(0, 40)]) {
      expect(['message-malformed', 'message-unknown']).toContain(refused(node.receive(1, bytes))[0])
    }
  })
})

describe('votes', () => {
  test('with a quorum make the certificate, once, which goes to all when it and our header are durable', () => {
    const node = new PrimaryUnderTest()
    const header = node.records.readHeader(sent(node.start(), 'header')[0]!.bytes)
    expect(sent(node.receive(1, encodeVote(node.vote(1, header))), 'certificate')).toEqual([])
    const turn = node.receive(2, encodeVote(node.vote(2, header)))
    expect(sent(turn, 'certificate')).toMatchObject([{ to: 'all', afterDurable: true }])
    expect(written(turn, 'certificate')).toMatchObject([{ round: 1, author: 0 }])
    expect(refused(node.receive(3, encodeVote(node.vote(3, header))))).toEqual(['vote-late'])
  })

  test('are refused twice, from another, for what we do not propose, and with a signature for another committee', () => {
    const node = new PrimaryUnderTest()
    const header = node.records.readHeader(sent(node.start(), 'header')[0]!.bytes)
    node.receive(1, encodeVote(node.vote(1, header)))
    expect(refused(node.receive(1, encodeVote(node.vote(1, header))))).toEqual(['vote-replayed'])
    expect(refused(node.receive(2, encodeVote(node.vote(1, header))))).toEqual(['sender-other'])
    expect(refused(node.receive(2, encodeVote(node.vote(2, node.header(1, 1)))))).toEqual(['vote-unexpected'])
    const foreign = encodeVote(node.vote(2, header, new Uint8Array(32)))
    expect(refused(node.receive(2, foreign))).toEqual(['signature-invalid'])
    expect(node.primary.status.missingVotes).toEqual([2, 3])
    // None of it spoils what is good.
    expect(sent(node.receive(2, encodeVote(node.vote(2, header))), 'certificate')).toHaveLength(1)
  })

  test('are stakes, not heads', () => {
    const node = new PrimaryUnderTest({ stakes: [1, 5, 1, 1] })
    const header = node.records.readHeader(sent(node.start(), 'header')[0]!.bytes)
    expect(sent(node.receive(2, encodeVote(node.vote(2, header))), 'certificate')).toEqual([])
    expect(sent(node.receive(3, encodeVote(node.vote(3, header))), 'certificate')).toEqual([])
    expect(sent(node.receive(1, encodeVote(node.vote(1, header))), 'certificate')).toHaveLength(1)
  })
})

describe('a certificate', () => {
  test('is delivered, written and handed on only after its parents', () => {
    const node = started()
    const ones = node.round(1)
    const [two] = node.round(2, ones)
    const turn = node.receive(1, two!)
    expect(written(turn, 'certificate')).toEqual([])
    expect(sent(turn, 'certificates-request')).toMatchObject([{ to: 1 }])
    const turns = ones.map((certificate) => node.receive(3, certificate))
    expect(written(turns, 'certificate').map(({ round }) => round)).toEqual([1, 1, 1, 2])
    expect(node.primary.status.certificatesWaiting).toBe(0)
  })

  test('without its header has its batches fetched, the first of each author, again until they come, and after a restart', () => {
    const node = started()
    const payload = (author: number): BatchEntry[] =>
      Array.from({ length: 300 }, (_, sequence) => batchOf(author, sequence + 1))
    for (const author of [1, 2]) node.receive(3, node.certificate(node.header(author, 1, { payload: payload(author) })))
    node.handle({ type: 'others-batch', batch: batchOf(1, 1) })
    const asked = (turn: Turn): number[] =>
      turn.workerRequests.flatMap((request) => (request.type === 'synchronize' ? request.digests.length : []))
    expect(node.turns.flatMap(({ workerRequests }) => workerRequests)).toEqual([])
    expect(asked(node.wait(PAYLOAD_GRACE_MS))).toEqual([256, 256])
    const turn = node.handle({ type: 'others-batch', batch: batchOf(1, 2) })
    expect(turn.workerRequests).toMatchObject([{ author: 1, digests: [batchOf(1, 258).digest] }])
    expect(asked(node.wait(5000))).toEqual([256, 256])
    expect(node.primary.status.payloadWanted).toBe(598)
    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    expect(asked(again.wait(PAYLOAD_GRACE_MS))).toEqual([256, 256])
    for (const author of [1, 2]) {
      for (const batch of payload(author)) again.handle({ type: 'others-batch', batch })
    }
    expect(again.primary.status.payloadWanted).toBe(0)
  })

  test('comes twice, and nothing happens', () => {
    const node = started()
    const [one] = node.round(1)
    node.receive(1, one!)
    const before = node.keys.verified
    expect(written(node.receive(2, one!), 'certificate')).toEqual([])
    expect(node.keys.verified).toBe(before)
  })

  test('without the votes of a quorum, or with one that is not valid, is refused', () => {
    const node = started()
    const header = node.header(1, 1)
    expect(refused(node.receive(1, node.certificate(header, [1, 2])))).toEqual(['certificate-without-quorum'])
    const votes = [1, 2, 3].map((voter) => node.vote(voter, header))
    votes[1] = { ...votes[1]!, signature: new Uint8Array(64) }
    expect(refused(node.receive(1, node.records.certificate(header, votes)))).toEqual(['signature-invalid'])
  })

  test('that is missing is asked of another peer when the first does not answer', () => {
    const node = started()
    node.receive(1, node.round(2, node.round(1))[0]!)
    const asked = [node.wait(500), node.wait(500), node.wait(500)].flatMap((turn) => sent(turn, 'certificates-request'))
    expect(asked.map(({ to }) => to)).toEqual([2, 3, 1])
  })

  test('of one author and round twice ends ordering, with both', () => {
    const node = started()
    const first = node.header(1, 1)
    node.receive(1, node.certificate(first))
    const { bytes: secondBytes } = node.certificate(node.header(1, 1, { createdAt: 1 }))
    const turn = node.receive(2, secondBytes)
    expect(turn.stopped?.code).toBe('ERR_EQUIVOCATION')
    expect(evidenceIn(turn).filter(({ kind }) => kind === 'certificates')).toMatchObject([
      { accused: 1, round: 1, first: node.certificate(first).bytes, second: secondBytes },
    ])
    expect(node.receive(1, node.header(2, 1)).stopped?.code).toBe('ERR_EQUIVOCATION')
    expect(sent(node.receive(2, node.header(2, 1)), 'vote')).toEqual([])
  })

  test('with a signature of ours that the store does not have stops the primary', () => {
    const node = started()
    const strange = node.header(0, 3, { parents: [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill)) })
    const turn = node.receive(1, node.certificate(strange))
    expect(turn.stopped?.code).toBe('ERR_KEY_USED_TWICE')
    const kept = { kind: 'own-key', accused: 0, second: new Uint8Array(0) }
    expect(evidenceIn(turn)).toMatchObject([{ ...kept, round: 3, first: node.certificate(strange).bytes }])
    const other = started()
    const certificate = other.certificate(other.header(1, 1), [0, 1, 2])
    const stopped = other.receive(1, certificate)
    expect(stopped.stopped?.code).toBe('ERR_KEY_USED_TWICE')
    expect(evidenceIn(stopped)).toMatchObject([{ ...kept, round: 1, first: certificate.bytes }])
  })

  test('of our author and a round in which we signed another header or vote stops it as well, and both are kept', () => {
    const node = new PrimaryUnderTest()
    const own = node.records.readHeader(sent(node.start(), 'header')[0]!.bytes)
    const twin = node.certificate(node.header(0, own.round, { createdAt: 1 }))
    const turn = node.receive(1, twin)
    expect(turn.stopped?.code).toBe('ERR_KEY_USED_TWICE')
    expect(evidenceIn(turn)).toMatchObject([
      { kind: 'own-key', accused: 0, round: own.round, first: twin.bytes, second: own.bytes },
    ])
    const other = started()
    const [vote] = sent(other.receive(1, other.header(1, 1)), 'vote')
    const second = other.certificate(other.header(1, 1, { createdAt: 1 }), [0, 1, 2])
    expect(evidenceIn(other.receive(2, second))).toMatchObject([
      { kind: 'own-key', accused: 0, round: 1, first: second.bytes, second: vote!.bytes },
    ])
  })

  test('with our own vote that we gave is not suspicious', () => {
    const node = started()
    const header = node.header(1, 1)
    node.receive(1, header)
    const turn = node.receive(1, node.certificate(header, [0, 1, 2]))
    expect(turn.stopped).toBeUndefined()
    expect(written(turn, 'certificate')).toHaveLength(1)
    expect(DIGEST).toHaveLength(32)
  })
})
