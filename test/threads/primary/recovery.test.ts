/** A store that is new or an old backup: nothing is signed until it is known how far this authority may have signed. */
import { describe, expect, test } from 'vitest'
import * as requests from '../../../src/shared/wire/primary/requests.js'
import { voteMessage } from '../../../src/shared/wire/primary/vote.js'
import { SIGNING_HELD_MS } from '../../../src/threads/primary/limits.js'
import type { CertificateRecord } from '../../../src/threads/primary/records.js'
import type { StoredState } from '../../../src/threads/primary/store/writes.js'
import { FRESH_STATE, recovering } from '../../../src/threads/primary/stored-state.js'
import type { Turn } from '../../../src/threads/primary/turn.js'
import { DIGEST, PrimaryUnderTest, refused, sent, votesIn, written } from '../../support/primary-under-test.js'
import { simulatedKeys } from '../../support/simulator/keys.js'

const nonceIn = (node: PrimaryUnderTest): number =>
  requests.decodeHighestRequest(sent(node.turns, 'highest-request')[0]!.bytes)

function answer(node: PrimaryUnderTest, from: number, certificate?: CertificateRecord) {
  const nonce = nonceIn(node)
  return node.receive(from, requests.encodeHighest(certificate ? { nonce, certificate: certificate.bytes } : { nonce }))
}

function recoveringNode(): { node: PrimaryUnderTest; rounds: CertificateRecord[][] } {
  const node = new PrimaryUnderTest({ state: recovering() })
  node.start()
  const rounds = [node.round(1)]
  for (let round = 2; round <= 8; round += 1) rounds.push(node.round(round, rounds.at(-1)!))
  return { node, rounds }
}

describe('an authority that has lost its store', () => {
  test('proposes nothing and votes for nothing, but follows', () => {
    const { node, rounds } = recoveringNode()
    expect(sent(node.turns, 'header')).toEqual([])
    expect(written(node.turns, 'signing')).toEqual([{ type: 'signing', signing: { state: 'recovering' } }])
    expect(votesIn(node.receive(1, node.header(1, 1)))).toEqual([])
    for (const certificate of rounds.flat()) node.receive(1, certificate)
    expect(node.primary.status.quorumRound).toBe(8)
    expect(node.primary.status.lastCommit).toBeGreaterThan(0)
    expect(sent(node.drain(), 'header')).toEqual([])
  })

  test('signs again when a quorum of the others has answered, two rounds above the highest of their certificates', () => {
    const { node, rounds } = recoveringNode()
    for (const certificate of rounds.slice(0, 4).flat()) node.receive(1, certificate)
    answer(node, 1, rounds[4]![0])
    answer(node, 2)
    expect(node.primary.status.isRecovering).toBe(true)
    // The same one again is no third.
    answer(node, 2, rounds[0]![1])
    expect(node.primary.status.isRecovering).toBe(true)
    const turn = answer(node, 3, rounds[2]![0])
    expect(written(turn, 'signing')).toEqual([{ type: 'signing', signing: { state: 'above', round: 7 } }])
    const parents = (round: number): Uint8Array[] => rounds[round - 2]!.map(({ header }) => header.idBytes)
    for (const certificate of rounds.slice(0, 6).flat()) node.receive(1, certificate)
    expect(votesIn(node.receive(1, node.header(1, 7, { parents: parents(7) })))).toEqual([])
    expect(sent(node.drain(), 'header')).toEqual([])
    for (const certificate of rounds[6]!) node.receive(1, certificate)
    const eighth = node.header(2, 8, { parents: parents(8), createdAt: node.unixMs + 1 })
    expect(votesIn(node.receive(2, eighth))).toEqual([eighth.id])
    expect(written(node.turns, 'own-header').map(({ round }) => round)).toEqual([8])
  })

  test('takes no answer to an older question, and no certificate that is not valid', () => {
    const { node, rounds } = recoveringNode()
    const nonce = nonceIn(node)
    expect(refused(node.receive(1, requests.encodeHighest({ nonce: nonce + 1 })))).toEqual(['answer-not-asked'])
    const bad = node.records.certificate(
      rounds[7]![0]!.header,
      [1, 2, 3].map((voter) => ({ voter, signature: new Uint8Array(64) })),
    )
    expect(refused(node.receive(1, requests.encodeHighest({ nonce, certificate: bad.bytes })))).toEqual([
      'signature-invalid',
    ])
  })

  test('takes no certificate of another epoch, however valid', () => {
    const { node } = recoveringNode()
    const header = node.header(1, 900, { epoch: 1 })
    const votes = [1, 2, 3].map((voter) => {
      const voted = { author: 1, round: 900, headerId: header.idBytes, epoch: 1 }
      return { ...voted, voter, signature: simulatedKeys(voter).sign(voteMessage(DIGEST, voted)) }
    })
    const { bytes } = node.records.certificate(header, votes)
    expect(refused(node.receive(1, requests.encodeHighest({ nonce: nonceIn(node), certificate: bytes })))).toEqual([
      'epoch-other',
    ])
    expect(refused(node.receive(1, bytes))).toEqual(['epoch-other'])
  })

  test('asks again who has not answered', () => {
    const { node } = recoveringNode()
    answer(node, 2)
    expect(sent(node.wait(1000), 'highest-request').map(({ to }) => to)).toEqual([1, 3])
  })

  test('that crashes meanwhile goes on recovering', () => {
    const { node } = recoveringNode()
    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    expect(again.primary.status.isRecovering).toBe(true)
  })

  test('is not stopped by signatures of its old self', () => {
    const { node, rounds } = recoveringNode()
    const old = node.certificate(
      node.header(0, 2, { parents: rounds[0]!.map(({ header }) => header.idBytes) }),
      [0, 1, 2],
    )
    for (const certificate of rounds[0]!) node.receive(1, certificate)
    expect(node.receive(1, old).stopped).toBeUndefined()
    for (const peer of [1, 2, 3]) answer(node, peer, rounds[1]![0])
    expect(node.primary.status.isRecovering).toBe(false)
    expect(
      node.receive(
        1,
        node.certificate(node.header(1, 3, { parents: rounds[1]!.map(({ header }) => header.idBytes) }), [0, 1, 2]),
      ).stopped,
    ).toBeUndefined()
  })
})

test('an answer says the highest certificate, or that there is none', () => {
  const node = new PrimaryUnderTest({ state: FRESH_STATE })
  node.start()

  expect(requests.decodeHighest(sent(node.receive(1, requests.encodeHighestRequest(5)), 'highest')[0]!.bytes)).toEqual({
    nonce: 5,
  })
  const [one] = node.round(1)
  node.receive(1, one!)
  expect(requests.decodeHighest(sent(node.receive(1, requests.encodeHighestRequest(6)), 'highest')[0]!.bytes)).toEqual({
    nonce: 6,
    certificate: one!.bytes,
  })
})

const noticesOf = (turns: readonly Turn[]) => turns.flatMap(({ notices }) => notices)

describe('how far it is', () => {
  test('is said at the start and with each that answers, once', () => {
    const { node } = recoveringNode()
    for (const peer of [1, 2, 2, 3]) answer(node, peer)
    expect(noticesOf(node.turns).filter(({ type }) => type.startsWith('recover'))).toEqual([
      { type: 'recovering', stake: 0, quorum: 3 },
      { type: 'recovering', stake: 1, quorum: 3 },
      { type: 'recovering', stake: 2, quorum: 3 },
      { type: 'recovering', stake: 3, quorum: 3 },
      { type: 'recovered', round: 2 },
    ])
    expect(node.primary.status).toMatchObject({ isRecovering: false, signingAbove: 2 })
  })

  test('is said again and again while the committee stands below what may be signed', () => {
    const { node, rounds } = recoveringNode()
    for (const peer of [1, 2, 3]) answer(node, peer)
    const held = () => noticesOf(node.drain()).filter(({ type }) => type === 'signing-held')
    expect(held()).toEqual([])
    node.wait(SIGNING_HELD_MS - 1)
    for (const certificate of rounds[0]!) node.receive(1, certificate)
    // It has moved.
    node.wait(SIGNING_HELD_MS - 1)
    expect([held(), node.primary.status.isSigningHeld]).toEqual([[], false])
    expect(node.wait(1).wakeAtMs).toBeLessThanOrEqual(node.ms + SIGNING_HELD_MS)
    node.wait(SIGNING_HELD_MS)
    expect(held()).toEqual([
      { type: 'signing-held', above: 2, round: 1 },
      { type: 'signing-held', above: 2, round: 1 },
    ])
    expect(node.primary.status.isSigningHeld).toBe(true)
    for (const certificate of rounds[1]!) node.receive(1, certificate)
    node.wait(2 * SIGNING_HELD_MS)
    expect([held(), node.primary.status.isSigningHeld]).toEqual([[], false])
  })
})

test.each([
  [[1], 1, 0],
  [[1, 1, 1], 3, 2],
  [[2, 1, 1, 1], 4, 3],
])('what the others can never say is refused at the start: stakes %j', (stakes, quorum, others) => {
  const start = (state: StoredState) => new PrimaryUnderTest({ state, stakes })
  expect(() => start(recovering())).toThrow(
    expect.objectContaining({
      code: 'ERR_RECOVERY_IMPOSSIBLE',
      message: expect.stringMatching(new RegExp(`stake of ${quorum} .* together have ${others}\\.`)),
    }),
  )
  start(FRESH_STATE)
})
