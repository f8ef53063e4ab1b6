/**
 * Authorities that are far behind, or have an empty store, take the log itself from the others: primaries that hand each other
 * their records, on a clock of the test.
 */
import { expect, test } from 'vitest'
import { decodeHistoryPiece, encodeHistoryPiece } from '../../../src/shared/wire/primary/history.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { HISTORY_ROUNDS_BEHIND } from '../../../src/threads/primary/limits.js'
import { Primary, type PrimaryOptions } from '../../../src/threads/primary/primary.js'
import { recovering } from '../../../src/threads/primary/stored-state.js'
import type { Send, Turn } from '../../../src/threads/primary/turn.js'
import { batchOf, DIGEST, UNIX_MS } from '../../support/primary-under-test.js'
import { simulatedKeys } from '../../support/simulator/keys.js'
import { SimulatedStore } from '../../support/simulator/store.js'

const STAKES = [1, 1, 1, 1]
/** Certificates of more rounds are not kept by anybody. */
const ROUNDS_KEPT = 30
const STEP_MS = 20

class Committee {
  ms = 1000
  readonly members: Member[]
  /** What a member sends, as a liar changes it. */
  readonly changes = new Map<number, (bytes: Uint8Array) => Uint8Array>()
  private queue: (() => void)[] = []

  constructor() {
    this.members = STAKES.map((_, index) => new Member(this, index))
  }

  send(from: Member, { bytes, to }: Pick<Send, 'bytes' | 'to'>): void {
    const changed = this.changes.get(from.index)?.(bytes) ?? bytes
    for (const member of this.members) {
      if (member === from || (to !== 'all' && to !== member.index)) continue
      this.queue.push(() => member.receive(from.index, changed))
    }
  }

  /** Time goes by, with all that is on its way. */
  run(until: () => boolean, stepsMax = 20_000): void {
    for (let step = 0; !until(); step += 1) {
      expect(step, 'it goes on').toBeLessThan(stepsMax)
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) next()
      this.ms += STEP_MS
      for (const member of this.members) member.tick()
    }
  }

  get commits(): number {
    return Math.max(...this.members.map(({ store }) => store.commits.length))
  }
}

class Member {
  store = new SimulatedStore()
  primary: Primary | undefined
  readonly index: number
  readonly notices: string[] = []
  readonly refusals: string[] = []
  /** What it has written is on the disk. */
  onTaken: () => void = () => {}
  private readonly committee: Committee
  private wakeAtMs = 0
  private batches = 0

  constructor(committee: Committee, index: number) {
    this.committee = committee
    this.index = index
    this.store.roundsKept = ROUNDS_KEPT
  }

  private get now() {
    return { ms: this.committee.ms, unixMs: UNIX_MS + this.committee.ms }
  }

  start(state = this.store.state()): void {
    const options: PrimaryOptions = {
      authority: this.index,
      committeeDigest: DIGEST,
      stakes: STAKES,
      workers: STAKES.map(() => new Set([0])),
      rule: 'shoal',
      gcDepth: 10,
      maxHeaderDelayMs: 100,
    }
    const nonce = 1 + this.committee.ms
    this.primary = new Primary(options, { keys: simulatedKeys(this.index), store: this.store, nonce }, state)
    this.take(this.primary.start(this.now))
    this.handle({ type: 'worker-store', worker: 0, storeId: new Uint8Array(16).fill(this.index) })
    for (const other of this.committee.members) {
      if (other === this || other.primary === undefined) continue
      this.handle({ type: 'peer-connected', peer: other.index })
      other.handle({ type: 'peer-connected', peer: this.index })
    }
  }

  stop(): void {
    this.primary = undefined
    for (const other of this.committee.members) other.handle({ type: 'peer-disconnected', peer: this.index })
  }

  receive(from: number, bytes: Uint8Array): void {
    this.handle({ type: 'message', from, bytes })
  }

  tick(): void {
    if (this.committee.ms >= this.wakeAtMs) this.handle({ type: 'timer' })
  }

  /** A batch of ours that all workers have. */
  makeBatch(): void {
    this.batches += 1
    const batch = batchOf(this.index, this.batches)
    for (const member of this.committee.members) {
      member.handle({ type: member === this ? 'own-batch' : 'others-batch', batch })
    }
  }

  handle(event: Parameters<Primary['handle']>[0]): void {
    if (this.primary !== undefined) this.take(this.primary.handle(event, this.now))
  }

  /** The disk takes no time. */
  private take(turn: Turn): void {
    this.wakeAtMs = turn.wakeAtMs
    if (turn.stopped !== undefined) throw turn.stopped
    this.notices.push(...turn.notices.map(({ type }) => type))
    this.refusals.push(...turn.refusals.map(({ from, reason }) => `${reason} ${from}`))
    this.store.apply(turn.writes)
    for (const send of turn.sends) this.committee.send(this, send)
    this.onTaken()
    if (turn.reopens && this.primary !== undefined) this.take(this.primary!.reopen(this.store.state(), this.now))
  }
}

const recordsOf = (store: SimulatedStore, to: number): string[] =>
  Array.from({ length: to }, (_, n) => Buffer.concat(store.commitRecord(n + 1)).toString('hex'))

/** Three authorities have ordered so much that nobody keeps what the fourth needs. */
function withOneAway(commits = 400, roundsKept = ROUNDS_KEPT): Committee {
  const committee = new Committee()
  for (const { store } of committee.members) store.roundsKept = roundsKept
  for (const member of committee.members) member.start()
  committee.run(() => committee.commits > 40)
  committee.members[3]!.stop()
  const began = committee.commits
  committee.run(() => {
    if (committee.ms % 200 === 0) for (const member of committee.members.slice(0, 3)) member.makeBatch()
    return committee.commits > began + commits
  })
  return committee
}

/** It orders what the others order, and they have its headers in their order. */
function isBack(committee: Committee): () => boolean {
  const last = committee.members[3]!
  const from = committee.commits
  return () => {
    const ours = last.store.commits.slice(from)
    return ours.some(({ vertices }) => vertices.some(({ author }) => author === 3))
  }
}

function expectSameLog(committee: Committee): void {
  for (const { store } of committee.members) store.oldestCommit = 1
  const to = Math.min(...committee.members.map(({ store }) => store.commits.length))
  const [first, ...others] = committee.members.map(({ store }) => recordsOf(store, to))
  for (const other of others) expect(other.findIndex((record, n) => record !== first![n])).toBe(-1)
}

test('one that was away for longer than certificates are kept takes the log by intervals, and takes part again', () => {
  const committee = withOneAway()
  const last = committee.members[3]!
  const before = last.store.commits.length
  last.start()
  committee.run(isBack(committee))
  expect(last.notices.filter((type) => type === 'log-taken')).toHaveLength(1)
  expect(last.store.commits.length).toBeGreaterThan(before + 300)
  expect(last.store.state().unfinished).toBeUndefined()
  expectSameLog(committee)
})

test('one with an empty store joins by intervals, and signs nothing before the others have said how far they are', () => {
  const committee = withOneAway()
  const last = committee.members[3]!
  last.store = new SimulatedStore()
  last.store.roundsKept = ROUNDS_KEPT
  last.start(recovering(last.store.state()))
  committee.run(isBack(committee))
  expect(last.notices).toContain('recovered')
  expect(last.notices).toContain('log-taken')
  expectSameLog(committee)
})

test.each(['state', 'interval'] as const)(
  'a peer that sends another %s is found out and left, and what it was asked for comes from others',
  (what) => {
    const committee = withOneAway()
    let lies = 0
    // The state is asked of the first, and what follows of the next one.
    const liar = what === 'state' ? 0 : 1
    committee.changes.set(liar, (bytes) => {
      const piece = kindOf(bytes) === 'history-piece' ? decodeHistoryPiece(bytes) : undefined
      if (piece?.what !== what) return bytes
      lies += 1
      const changed = Uint8Array.from(piece.bytes)
      // In a state it is a digit of a digest.
      changed[changed.length - 8]! ^= 1
      return encodeHistoryPiece({ ...piece, bytes: changed })
    })
    const last = committee.members[3]!
    last.start()
    committee.run(isBack(committee))
    expect(lies).toBeGreaterThan(0)
    const untrue = last.refusals.filter((refusal) => refusal.startsWith('history-untrue'))
    expect(new Set(untrue)).toEqual(new Set([`history-untrue ${liar}`]))
    expectSameLog(committee)
  },
)

test('one that is killed while it takes the log goes on where its own ends', () => {
  const committee = withOneAway()
  const last = committee.members[3]!
  last.start()
  let crashes = 0
  last.onTaken = () => {
    if (last.store.state().unfinished === undefined || crashes === 5) return
    crashes += 1
    last.stop()
  }
  const back = isBack(committee)
  committee.run(() => {
    if (last.primary === undefined) last.start()
    return back()
  })
  expect(crashes).toBe(5)
  expectSameLog(committee)
})

test('one that is far behind others who have started anew, and cannot go on without it, comes by their certificates', () => {
  const committee = withOneAway(3 * HISTORY_ROUNDS_BEHIND + 300, Number.POSITIVE_INFINITY)
  const [first, second, third, last] = committee.members as [Member, Member, Member, Member]
  // They know of no state but their last, which is of no checkpoint. The third one stays dead: there is no quorum yet.
  for (const member of [first, second, third]) member.stop()
  for (const member of [first, second, last]) member.start()
  const { quorumRound } = first.primary!.status
  expect(last.primary!.status.quorumRound + HISTORY_ROUNDS_BEHIND).toBeLessThan(quorumRound)
  for (const bytes of first.store.certificates(quorumRound, quorumRound, 4)) last.receive(first.index, bytes)
  const back = isBack(committee)
  committee.run(() => {
    if (committee.ms % 200 === 0) for (const member of [first, second, last]) member.makeBatch()
    return back()
  })
  expectSameLog(committee)
})

test('where nobody keeps the log from where ours ends, nothing is written, and it is said', () => {
  const committee = withOneAway()
  for (const { store } of committee.members.slice(0, 3)) store.oldestCommit = 100
  const last = committee.members[3]!
  const before = last.store.commits.length
  last.start()
  committee.run(() => last.notices.includes('history-gone') && committee.ms % 20_000 === 0)
  expect(last.store.commits).toHaveLength(before)
  expect(last.primary!.status.isHistoryGone).toBe(true)
  // As soon as somebody does, it goes on.
  committee.members[1]!.store.oldestCommit = 1
  committee.run(isBack(committee))
  expectSameLog(committee)
})
