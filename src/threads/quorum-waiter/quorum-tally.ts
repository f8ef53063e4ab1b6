/**
 * The tally: which of our batches a quorum of the committee's stake has stored. No threads and no clock.
 *
 * A batch is certified when our own copy is stored at the required level, and the stake that acknowledged it, our own
 * included, reaches the quorum threshold. An entry lives from `track` (before the first byte is sent) to `release`
 * (when its slot is freed), and any number of entries live at once; none waits for another.
 *
 * What a peer may still say about a batch, per entry:
 *
 * ```
 *                 ┌───────────────────────── addPeer ─────────────────────────┐
 *                 ▼                                                           │
 *  not sent ──▶ awaited ──┬── ok, own digest unknown ──▶ held ──┬── differs ──▶ refused
 *   track, addPeer        ├── ok, digest is ours ────────────┐  └── equal ──┐
 *                         │                                  ▼              ▼
 *                         │                               counted (its stake, once)
 *                         └── other digest, level too low, or a status that is not ok ──▶ refused
 * ```
 *
 * An ACK counts for so many Cleanup rounds: later the peer may have deleted its copy. That is looked at when a quorum is
 * reached. If it is none without the ACKs that are too old, they are taken back: the peers count as not sent to
 * (`takeExpired`), and the batch is to be handed to them again. Where that happens once more to the same batch, it is to be
 * handed again to those too whose ACKs are not too old, and which count on meanwhile: then all are asked at the same time.
 * Asked in turn, each could be too old when the next one's comes, for ever. What is certified stays so here.
 *
 * A peer has one word per sending: whatever it says when it is not awaited is a duplicate, right or wrong, and changes
 * nothing. One that was refused is awaited again only when the batch is going to be handed to it again (`addPeer`). One
 * whose ACK is held keeps its word over a reconnection: a held ACK is never replaced.
 *
 * The same in the reference: asonnino/narwhal worker/src/quorum_waiter.rs, where any reply counts as an ACK, and one
 * batch at a time waits.
 */

import assert from 'node:assert'
import { COMMITTEE_SIZE_MAX, DIGEST_BYTES, PEER_MASK_BYTES } from '../../shared/constants.js'
import { isFresh, type Moment, START } from '../../shared/freshness.js'
import { ACK_VERDICTS, type AckVerdict, type QuorumTallyOptions } from '../../shared/memory/dialogue/quorum-waiter.js'
import { ACK_STATUSES, type AckLevelCode, isAckLevel, isAckStatus, isInMask, peerMask } from '../../shared/wire/ack.js'

const NOT_SENT = 0
const AWAITED = 1
const HELD = 2
const COUNTED = 3
const REFUSED = 4
/** Counted, and asked once more: the next answer says that it holds the batch still. */
const ASKED_AGAIN = 5

/** What `ack` says: 'certified' is a 'counted' that made the quorum, at most once per entry. */
export type TallyVerdict = AckVerdict | 'certified'

/** One batch in flight. Pooled: all buffers are made with the tally. */
interface Entry {
  /** A state per authority index. */
  readonly states: Uint8Array
  /** The digest that a held ACK named, per authority index. */
  readonly heldDigests: Uint8Array
  /** When each authority's ACK came. */
  readonly ackedAt: Moment[]
  readonly ownDigest: Uint8Array
  ownDigestKnown: boolean
  /** The level of our own copy; 0 while there is none. */
  ownLevel: number
  ackedStake: number
  certified: boolean
  /** ACKs were taken back before because they were too old. */
  hasExpired: boolean
  /** Of the ACKs that certified it, the moment of the oldest. */
  since: Moment
}

export interface Expired {
  readonly sequence: bigint
  /** One bit per authority index. */
  readonly peers: Uint8Array
}

export class QuorumTally {
  private readonly options: QuorumTallyOptions
  private readonly ownStake: number
  private readonly entries = new Map<bigint, Entry>()
  private readonly free: Entry[]
  private readonly verdictCounts: Record<TallyVerdict, number>
  private now = START
  private expired: Expired | undefined

  constructor(options: QuorumTallyOptions) {
    const { stakes, ownIndex, quorumThreshold, entriesMax, requiredLevel } = options
    assert(stakes.length >= 1 && stakes.length <= COMMITTEE_SIZE_MAX, 'a committee within the limit')
    assert(
      stakes.every((stake) => Number.isSafeInteger(stake) && stake >= 0),
      'stakes are whole',
    )
    const ownStake = stakes[ownIndex]
    assert(ownStake !== undefined, 'our index is one of the committee')
    const total = stakes.reduce((sum, stake) => sum + stake, 0)
    assert(Number.isSafeInteger(total), 'the sum of stakes is exact')
    assert(quorumThreshold > 0 && quorumThreshold <= total, 'a quorum can be reached, and not by nobody')
    assert(Number.isInteger(entriesMax) && entriesMax >= 1, 'room for an entry')
    assert(isAckLevel(requiredLevel), 'a known level')
    assert(options.freshRounds >= 0, 'rounds for which an ACK counts')
    this.options = options
    this.ownStake = ownStake
    this.free = Array.from({ length: entriesMax }, () => ({
      states: new Uint8Array(stakes.length),
      heldDigests: new Uint8Array(stakes.length * DIGEST_BYTES),
      ackedAt: new Array<Moment>(stakes.length).fill(START),
      ownDigest: new Uint8Array(DIGEST_BYTES),
      ownDigestKnown: false,
      ownLevel: 0,
      ackedStake: 0,
      certified: false,
      hasExpired: false,
      since: START,
    }))
    const verdicts: readonly TallyVerdict[] = [...ACK_VERDICTS, 'certified']
    this.verdictCounts = Object.fromEntries(verdicts.map((verdict) => [verdict, 0])) as Record<TallyVerdict, number>
  }

  /** Entries that are tracked now. */
  get size(): number {
    return this.entries.size
  }

  /**
   * ACKs by verdict since the start, but for 'certified', which counts entries. 'counted' is every ACK whose stake was
   * added, the one that made a quorum included; a held ACK counts as 'held' when it comes, and as 'counted' or
   * 'wrong-digest' once compared.
   */
  get counts(): Readonly<Record<TallyVerdict, number>> {
    return this.verdictCounts
  }

  /** It is so late: ACKs that come from now on are of this moment. */
  advance(now: Moment): void {
    assert(now.rounds >= this.now.rounds && now.awayMs >= this.now.awayMs, 'time goes on')
    this.now = now
  }

  /** Who is to be handed the batch again because ACKs were too old at the last call of `ack` or `ownStored`, if any is. */
  takeExpired(): Expired | undefined {
    const { expired } = this
    this.expired = undefined
    return expired
  }

  /** Of the ACKs that certified the batch, the moment of the oldest. */
  certifiedSince(sequence: bigint): Moment {
    const { certified, since } = this.entryOf(sequence)
    assert(certified, 'it is certified')
    return since
  }

  /**
   * A batch of ours is about to be sent to these peers.
   *
   * @param peers one bit per authority index (`peerMask`), without our own
   */
  track(sequence: bigint, peers: Uint8Array): void {
    assert(peers.length === PEER_MASK_BYTES, 'a whole mask')
    assert(!this.entries.has(sequence), 'a sequence is tracked once')
    const entry = this.free.pop()
    assert(entry !== undefined, 'no more entries than own slots')
    entry.ownDigestKnown = false
    entry.ownLevel = 0
    entry.ackedStake = 0
    entry.certified = false
    entry.hasExpired = false
    entry.states.fill(NOT_SENT)
    this.entries.set(sequence, entry)
    for (let peer = 0; peer < COMMITTEE_SIZE_MAX; peer += 1) {
      if (isInMask(peers, peer)) this.addPeer(sequence, peer)
    }
  }

  /** The batch is about to be handed to a peer, for the first time or once more. */
  addPeer(sequence: bigint, peer: number): void {
    const entry = this.entryOf(sequence)
    assert(peer < entry.states.length && peer !== this.options.ownIndex, 'a peer is another authority')
    const state = entry.states[peer]
    if (state === NOT_SENT || state === REFUSED) entry.states[peer] = AWAITED
  }

  /**
   * Our own copy is stored. May be called again when the copy reaches a higher level.
   *
   * @param digest 32 bytes, copied
   * @param wrongPeers takes the peers whose held ACK named another digest
   * @returns whether this certified the batch
   */
  ownStored(sequence: bigint, digest: Uint8Array, level: AckLevelCode, wrongPeers?: number[]): boolean {
    const entry = this.entryOf(sequence)
    assert(digest.length === DIGEST_BYTES && isAckLevel(level), 'a digest and a known level')
    entry.ownLevel = Math.max(entry.ownLevel, level)
    if (entry.ownDigestKnown) {
      assert(equalBytes(entry.ownDigest, 0, digest), 'a batch has one digest')
    } else {
      entry.ownDigest.set(digest)
      entry.ownDigestKnown = true
      this.compareHeld(entry, wrongPeers)
    }
    return this.certify(sequence, entry)
  }

  /**
   * A peer's ACK, as received.
   *
   * @param peer the authority index of the connection that it came from
   * @param digest 32 bytes, copied if need be
   * @param level as received, known or not
   * @param status as received, known or not
   */
  ack(peer: number, sequence: bigint, digest: Uint8Array, level: number, status: number): TallyVerdict {
    const verdict = this.judge(peer, sequence, digest, level, status)
    this.verdictCounts[verdict] += 1
    if (verdict !== 'counted') return verdict
    return this.certify(sequence, this.entryOf(sequence)) ? 'certified' : 'counted'
  }

  /** Nobody needs the batch any more; what still comes for it is of an unknown sequence. */
  release(sequence: bigint): void {
    const entry = this.entryOf(sequence)
    this.entries.delete(sequence)
    this.free.push(entry)
  }

  private entryOf(sequence: bigint): Entry {
    const entry = this.entries.get(sequence)
    assert(entry !== undefined, 'the sequence is tracked')
    return entry
  }

  private judge(peer: number, sequence: bigint, digest: Uint8Array, level: number, status: number): AckVerdict {
    assert(digest.length === DIGEST_BYTES, 'a digest has 32 bytes')
    assert(peer >= 0 && peer < this.options.stakes.length, 'a peer is an authority')
    if (!isAckLevel(level) || !isAckStatus(status)) return 'malformed'
    const entry = this.entries.get(sequence)
    if (entry === undefined) return 'unknown-sequence'
    const state = entry.states[peer]
    if (state === NOT_SENT) return 'not-sent'
    if (state !== AWAITED && state !== ASKED_AGAIN) return 'duplicate'

    if (status !== ACK_STATUSES.ok || level < this.options.requiredLevel) {
      this.refuse(entry, peer)
      if (status === ACK_STATUSES.invalid) return 'refused-invalid'
      if (status === ACK_STATUSES.quota) return 'refused-quota'
      if (status === ACK_STATUSES['store-full']) return 'refused-store-full'
      return 'level-too-low'
    }
    entry.ackedAt[peer] = this.now
    if (!entry.ownDigestKnown) {
      entry.states[peer] = HELD
      entry.heldDigests.set(digest, peer * DIGEST_BYTES)
      return 'held'
    }
    if (!equalBytes(entry.ownDigest, 0, digest)) {
      this.refuse(entry, peer)
      return 'wrong-digest'
    }
    if (state === ASKED_AGAIN) entry.states[peer] = COUNTED
    else this.count(entry, peer)
    return entry.certified ? 'late' : 'counted'
  }

  private compareHeld(entry: Entry, wrongPeers: number[] | undefined): void {
    for (let peer = 0; peer < entry.states.length; peer += 1) {
      if (entry.states[peer] !== HELD) continue
      if (equalBytes(entry.heldDigests, peer * DIGEST_BYTES, entry.ownDigest)) {
        this.count(entry, peer)
        this.verdictCounts.counted += 1
      } else {
        entry.states[peer] = REFUSED
        this.verdictCounts['wrong-digest'] += 1
        wrongPeers?.push(peer)
      }
    }
  }

  private refuse(entry: Entry, peer: number): void {
    if (entry.states[peer] === ASKED_AGAIN) entry.ackedStake -= this.options.stakes[peer]!
    entry.states[peer] = REFUSED
  }

  private count(entry: Entry, peer: number): void {
    entry.states[peer] = COUNTED
    entry.ackedStake += this.options.stakes[peer]!
  }

  /** Whether the entry is certified by what has just happened: true once in its life. */
  private certify(sequence: bigint, entry: Entry): boolean {
    const { quorumThreshold, requiredLevel } = this.options
    if (entry.certified || entry.ownLevel < requiredLevel) return false
    if (entry.ackedStake + this.ownStake < quorumThreshold) return false
    const since = this.oldestOfQuorum(entry)
    if (since === undefined) {
      this.takeBack(sequence, entry)
      return false
    }
    entry.since = since
    entry.certified = true
    this.verdictCounts.certified += 1
    return true
  }

  /** The moment of the oldest ACK that is not too old; undefined if those that are not too old make no quorum. */
  private oldestOfQuorum(entry: Entry): Moment | undefined {
    const { quorumThreshold, stakes } = this.options
    let stake = this.ownStake
    let oldest = this.now
    for (const [peer, at] of entry.ackedAt.entries()) {
      if (!counts(entry.states[peer]!) || this.isTooOld(at)) continue
      stake += stakes[peer]!
      if (at.rounds < oldest.rounds || at.awayMs < oldest.awayMs) oldest = at
    }
    return stake < quorumThreshold ? undefined : oldest
  }

  private takeBack(sequence: bigint, entry: Entry): void {
    const peers: number[] = []
    for (const [peer, at] of entry.ackedAt.entries()) {
      if (!counts(entry.states[peer]!)) continue
      if (this.isTooOld(at)) {
        entry.states[peer] = NOT_SENT
        entry.ackedStake -= this.options.stakes[peer]!
      } else if (entry.hasExpired) entry.states[peer] = ASKED_AGAIN
      else continue
      peers.push(peer)
    }
    entry.hasExpired = true
    this.expired = { sequence, peers: peerMask(peers) }
  }

  private isTooOld(at: Moment): boolean {
    return !isFresh(at, this.now, this.options.freshRounds)
  }
}

function counts(state: number): boolean {
  return state === COUNTED || state === ASKED_AGAIN
}

/** Whether 32 bytes of `a` from `at` are those of `b`. */
function equalBytes(a: Uint8Array, at: number, b: Uint8Array): boolean {
  for (let i = 0; i < DIGEST_BYTES; i += 1) {
    if (a[at + i] !== b[i]) return false
  }
  return true
}
