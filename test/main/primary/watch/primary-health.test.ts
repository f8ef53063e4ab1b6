import { describe, expect, test } from 'vitest'
import {
  ATTESTED_BEHIND_COMMITS,
  BEHIND_ROUNDS,
  FLUSH_SLOW_MS,
  NAMES_SHOWN_MAX,
  ROUND_STILL_MS,
  THREAD_STILL_MS,
} from '../../../../src/main/primary/watch/limits.js'
import {
  type PrimaryHealthState,
  type PrimaryPeerState,
  primaryHealthFields,
  primaryHealthOf,
  primaryProblems,
} from '../../../../src/main/primary/watch/primary-health.js'
import { Progress } from '../../../../src/main/primary/watch/progress.js'

const peer = (letter: string, more: Partial<PrimaryPeerState> = {}): PrimaryPeerState => ({
  name: letter.repeat(44),
  stake: 1,
  connected: true,
  silentMs: 900,
  refusal: undefined,
  owesVote: false,
  owesCertificate: false,
  owesAnswer: false,
  ...more,
})

const WELL: PrimaryHealthState = {
  isOpen: true,
  failure: undefined,
  ownStake: 1,
  totalStake: 4,
  quorumThreshold: 3,
  gcDepth: 50,
  peers: [peer('a'), peer('b'), peer('c')],
  isRecovering: false,
  signingHeldAbove: undefined,
  isHistoryGone: false,
  quorumRound: 100,
  seenRound: 101,
  decidedRound: 98,
  lastCommit: 95,
  attestedCommit: 64,
  flushMs: 5,
  roundStillMs: 900,
  threadStillMs: 200,
}
const withPeers = (...peers: PrimaryPeerState[]): PrimaryHealthState => ({ ...WELL, peers })
const AWAY = { connected: false }
const kinds = (state: PrimaryHealthState): string[] => primaryProblems(state).map(({ kind }) => kind)
const texts = (state: PrimaryHealthState): string => primaryHealthOf(state).problems.join('\n')

describe('the health of a primary', () => {
  test('that signs, and whose rounds have a quorum, is ok without a problem', () => {
    expect(primaryHealthOf(WELL)).toEqual({
      ok: true,
      open: true,
      quorumConnected: true,
      signing: true,
      ordering: true,
      caughtUp: true,
      storeWritable: true,
      round: 100,
      behind: 1,
      commit: 95,
      missing: [],
      problems: [],
    })
  })

  test('alone in its committee is ok', () => {
    expect(primaryHealthOf({ ...WELL, totalStake: 1, quorumThreshold: 1, peers: [] }).ok).toBe(true)
  })

  test('names a peer that is away, with why, and is ok with a quorum of the others', () => {
    const health = primaryHealthOf(
      withPeers(peer('a'), peer('b', { ...AWAY, refusal: 'its rule is another' }), peer('c')),
    )
    expect(health).toMatchObject({ ok: true, quorumConnected: true, missing: ['b'.repeat(44)] })
    expect(health.problems).toEqual([
      expect.stringMatching(/^stake 1 is not connected: b{16} \(not connected: its rule/),
    ])
  })

  test('says that no quorum signs what is ordered, and is ok', () => {
    const behind = (commits: number) => primaryHealthOf({ ...WELL, lastCommit: WELL.attestedCommit + commits })
    expect(behind(ATTESTED_BEHIND_COMMITS).problems).toEqual([])
    const { ok, problems } = behind(ATTESTED_BEHIND_COMMITS + 1)
    expect([ok, problems]).toEqual([true, [expect.stringMatching(/signed a checkpoint of the last 513 commits/)]])
  })

  test('without a quorum is not ok at once, by stake and not by number', () => {
    const health = primaryHealthOf(withPeers(peer('a'), peer('b', AWAY), peer('c', AWAY)))
    expect(health).toMatchObject({ ok: false, quorumConnected: false, ordering: true })
    expect(health.problems).toEqual([
      expect.stringMatching(/stake 2 is connected, our own 1 .* takes 3: b{16} .*c{16}/),
    ])
    const heavy = [peer('a', { stake: 3 }), peer('b', AWAY), peer('c', { ...AWAY, stake: 3 })]
    expect(primaryHealthOf({ ...withPeers(...heavy), totalStake: 8, quorumThreshold: 6 }).quorumConnected).toBe(false)
    const light = [peer('a', { stake: 3 }), peer('b', AWAY), peer('c', AWAY)]
    expect(primaryHealthOf({ ...withPeers(...light), totalStake: 6, quorumThreshold: 4 }).quorumConnected).toBe(true)
  })

  test('says whose votes a stalled round waits for, also of peers that are connected', () => {
    const peers = [peer('a'), peer('b', { owesVote: true, owesCertificate: true }), peer('c', { ...AWAY })]
    const state = { ...withPeers(...peers), roundStillMs: ROUND_STILL_MS }
    const health = primaryHealthOf(state)
    expect(health).toMatchObject({ ok: false, ordering: false, missing: ['b'.repeat(44), 'c'.repeat(44)] })
    expect(health.problems).toHaveLength(1)
    expect(health.problems[0]).toMatch(/^round 101 has had no quorum for 3 s.* stake 2 of 4 is missing.* takes 3/)
    expect(health.problems[0]).toMatch(/b{16} \(connected, no vote for our header\), c{16} \(not connected\)/)
    expect(primaryHealthOf({ ...state, roundStillMs: ROUND_STILL_MS - 1 }).ordering).toBe(true)
  })

  test('says whose certificates are missing once our own header has one', () => {
    const peers = [peer('a'), peer('b', { owesCertificate: true }), peer('c', { owesCertificate: true })]
    expect(texts({ ...withPeers(...peers), roundStillMs: 10_000 })).toMatch(
      /stake 2 of 4 is missing.*b{16} \(connected, no certificate\), c{16} \(connected, no certificate\)/,
    )
  })

  test('does not blame who is connected and has no certificate because of those that are not', () => {
    const peers = [peer('a', { owesCertificate: true }), peer('b', { ...AWAY, owesCertificate: true }), peer('c', AWAY)]
    const health = primaryHealthOf({ ...withPeers(...peers), roundStillMs: 10_000 })
    expect(health.missing).toEqual(['b'.repeat(44), 'c'.repeat(44)])
  })

  test('does not blame who is heard in the stall, where those that are not explain it', () => {
    const owes = { owesCertificate: true }
    const silent = { ...owes, silentMs: 9900 }
    const stalled = { ...WELL, roundStillMs: 10_000 }
    const frozen = [peer('a', { ...owes, silentMs: 4000 }), peer('b', silent), peer('c', silent)]
    expect(primaryHealthOf({ ...stalled, peers: frozen }).missing).toEqual(['b'.repeat(44), 'c'.repeat(44)])
    // One that is silent does not keep three of four from a quorum.
    const talking = [peer('a', { ...owes, silentMs: 4000 }), peer('b', { ...owes, silentMs: 4000 }), peer('c', silent)]
    expect(primaryHealthOf({ ...stalled, peers: talking }).missing).toHaveLength(3)
    // One that is away and one that is silent do.
    const mixed = [peer('a', { ...owes, silentMs: 10 }), peer('b', AWAY), peer('c', silent)]
    expect(primaryHealthOf({ ...stalled, peers: mixed }).missing).toEqual(['b'.repeat(44), 'c'.repeat(44)])
  })

  test('says who has been silent of those that are connected', () => {
    const peers = [
      peer('a'),
      peer('b', { owesCertificate: true, silentMs: 9000 }),
      peer('c', { owesCertificate: true }),
    ]
    expect(texts({ ...withPeers(...peers), roundStillMs: 10_000 })).toMatch(
      /b{16} \(connected, no certificate, silent for 9 s\), c{16} \(connected, no certificate\)/,
    )
  })

  test('says that nobody is known to be missing rather than nothing', () => {
    expect(texts({ ...WELL, roundStillMs: 10_000 })).toContain('nobody is known to be missing')
  })

  test('that recovers says of whom it waits for how much, and is not ok while all are connected', () => {
    const peers = [peer('a'), peer('b', { owesAnswer: true }), peer('c', { ...AWAY, owesAnswer: true })]
    const health = primaryHealthOf({ ...withPeers(...peers), isRecovering: true })
    expect(health).toMatchObject({ ok: false, signing: false })
    expect(health.problems[0]).toMatch(
      /^recovering: .* stake 3 of the others .* waits for 2 of 3: b{16} .*has not answered.*c{16}/,
    )
  })

  test('that is behind says by how much, and is ok until its certificates come too late for others', () => {
    expect(kinds({ ...WELL, seenRound: 100 + BEHIND_ROUNDS })).toEqual([])
    const behind = primaryHealthOf({ ...WELL, seenRound: 101 + BEHIND_ROUNDS })
    expect(behind).toMatchObject({ ok: true, caughtUp: true, behind: BEHIND_ROUNDS + 1 })
    expect(behind.problems).toEqual([`behind by ${BEHIND_ROUNDS + 1} rounds or more: catching up`])
    expect(primaryHealthOf({ ...WELL, seenRound: 150 }).ok).toBe(true)
    expect(primaryHealthOf({ ...WELL, seenRound: 151 })).toMatchObject({ ok: false, caughtUp: false })
  })

  test('whose rounds go on without an order is not ok', () => {
    expect(primaryHealthOf({ ...WELL, decidedRound: 50 }).ok).toBe(true)
    const health = primaryHealthOf({ ...WELL, decidedRound: 49 })
    expect(health).toMatchObject({ ok: false, ordering: false })
    expect(health.problems[0]).toMatch(/nothing was ordered for 51 rounds/)
  })

  test('whose flush does not end blames the disk', () => {
    const health = primaryHealthOf({ ...WELL, flushMs: FLUSH_SLOW_MS })
    expect(health).toMatchObject({ ok: false, storeWritable: false, open: true })
    expect(health.problems[0]).toMatch(/flush .* 2 s.*disk/)
  })

  test('whose thread does nothing says that', () => {
    expect(primaryHealthOf({ ...WELL, threadStillMs: THREAD_STILL_MS })).toMatchObject({ ok: false, open: false })
    expect(primaryHealthOf({ ...WELL, threadStillMs: THREAD_STILL_MS - 1 }).ok).toBe(true)
  })

  test('that has failed says why, and nothing that follows from it', () => {
    const health = primaryHealthOf({ ...WELL, isOpen: false, roundStillMs: 1e6, failure: 'ERR_STORE_FULL: no space' })
    expect(health).toMatchObject({ ok: false, open: false, storeWritable: false })
    expect(health.problems).toEqual(['the primary has failed: ERR_STORE_FULL: no space'])
    expect(kinds({ ...WELL, isOpen: false, roundStillMs: 1e6 })).toEqual(['not-open'])
  })

  test('names at most so many of a large committee, and counts the others', () => {
    const many = Array.from({ length: NAMES_SHOWN_MAX + 5 }, () => peer('d', AWAY))
    const text = texts({ ...withPeers(...many), totalStake: many.length + 1, quorumThreshold: many.length })
    expect(text.match(/d{16}/g)).toHaveLength(NAMES_SHOWN_MAX)
    expect(text).toContain(' and 5 more')
  })

  test('one that may sign only above where the committee stands says both rounds, and is not well', () => {
    const health = primaryHealthOf({ ...WELL, signingHeldAbove: 112 })
    expect(health).toMatchObject({ ok: false, signing: false })
    expect(health.problems).toEqual([expect.stringMatching(/above round 112 only.* round 100:/)])
  })

  test('one that was away for longer than the others keep certificates says what to do, and nothing else of it', () => {
    const health = primaryHealthOf({ ...WELL, isHistoryGone: true, seenRound: 200_000, roundStillMs: 60_000 })
    expect(health).toMatchObject({ ok: false, ordering: false, caughtUp: false, signing: true, behind: 199_900 })
    expect(health.problems).toEqual([
      expect.stringMatching(/cannot catch up.* up to 100, .* 199900 rounds further.* of round 101 .*Away for too long/),
    ])
  })

  test('every problem is named, the gravest first', () => {
    const peers = [peer('a'), peer('b', AWAY), peer('c', AWAY)]
    const state = { ...withPeers(...peers), isRecovering: true, roundStillMs: 9000, flushMs: 9000, threadStillMs: 9000 }
    expect(kinds({ ...state, seenRound: 500, decidedRound: 1 })).toEqual([
      'thread-still',
      'slow-flush',
      'recovering',
      'stalled',
      'not-ordering',
      'behind',
    ])
  })

  test('is answered with keys in snake_case', () => {
    expect(primaryHealthFields(primaryHealthOf(WELL))).toEqual({
      ok: true,
      open: true,
      quorum_connected: true,
      signing: true,
      ordering: true,
      caught_up: true,
      store_writable: true,
      round: 100,
      behind: 1,
      commit: 95,
      missing: [],
      problems: [],
    })
  })
})

describe('what should move', () => {
  const at = (events: number, quorumRound: number, flushes = 0, isFlushing = false) => ({
    ...{ events, quorumRound, flushes, isFlushing },
  })

  test('counts from when it moved last, each by itself', () => {
    const progress = new Progress()
    expect(progress.look(at(1, 7), 1000)).toEqual({ roundStillMs: 0, threadStillMs: 0, flushMs: 0 })
    expect(progress.look(at(2, 7), 3000)).toMatchObject({ roundStillMs: 2000, threadStillMs: 0 })
    expect(progress.look(at(2, 8), 4000)).toMatchObject({ roundStillMs: 0, threadStillMs: 1000 })
    // A round that is lower than before is another one as well.
    expect(progress.look(at(3, 0), 5000)).toMatchObject({ roundStillMs: 0, threadStillMs: 0 })
  })

  test('a flush counts while it is the same one, and not when there is none', () => {
    const progress = new Progress()
    progress.look(at(1, 7, 10, true), 1000)
    expect(progress.look(at(1, 7, 10, true), 2000).flushMs).toBe(1000)
    expect(progress.look(at(1, 7, 11, true), 3000).flushMs).toBe(0)
    expect(progress.look(at(1, 7, 11, true), 5000).flushMs).toBe(2000)
    expect(progress.look(at(1, 7, 12, false), 6000).flushMs).toBe(0)
    expect(progress.look(at(1, 7, 12, false), 60_000).flushMs).toBe(0)
    expect(progress.look(at(1, 7, 12, true), 60_100).flushMs).toBe(100)
  })
})
