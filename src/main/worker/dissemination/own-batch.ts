/** One own batch on its way: who still holds its slot, and what each peer has of it. */

import type { Moment } from '../../../shared/freshness.js'

/** What a peer has of a batch, and what we await of it. */
export const PEER_STATE = {
  /** In the peer's queue; no byte of it was handed over. Holds the slot. */
  queued: 0,
  /** Some of it was handed to the peer's stream. Holds the slot. */
  sending: 1,
  /** All of it was handed over; the ACK is awaited. Holds the slot. */
  sent: 2,
  /** The peer has answered; the quorum-waiter judges the answer. */
  answered: 3,
  /** The answer was a refusal of what a quorum has: the peer gets it through Synchronize. */
  refused: 4,
  /** Certified, and dropped for this peer to make room: it gets it through Synchronize. */
  dropped: 5,
  /** In the queue again after a refusal; when it is certified it leaves the queue as `refused`. Holds the slot. */
  queuedAgain: 6,
} as const
export type PeerState = (typeof PEER_STATE)[keyof typeof PEER_STATE]

export class OwnBatch {
  readonly slot: number
  readonly sequence: bigint
  readonly byteLength: number
  readonly transactions: number
  readonly transactionBytes: number
  /** When main took it on; ms of `performance.now()`. */
  readonly takenMs: number
  /** Tell the primary when it is certified. */
  report: boolean
  /** It was certified, counted and shown before. */
  readonly again: boolean
  /** Known once it is stored. */
  digest: Uint8Array | undefined
  /** Of the ACKs that certified it, the moment of the oldest; undefined while it is not certified. */
  certifiedSince: Moment | undefined
  /** When the quorum-waiter said so; ms of `performance.now()`. */
  certifiedMs = Number.POSITIVE_INFINITY
  /** A quorum has it, and its slot is needed for something else: it goes to no peer a second time. */
  letGo = false
  /**
   * Somebody lacks it and has asked for it. A reference primary asks once, so the batch is owed to each peer for which it
   * has to be dropped.
   */
  wanted: boolean
  /** The quorum-waiter was told to forget it. */
  releasing = false
  /** A peer that had answered was sent it once more, for another answer. */
  wasAskedAgain = false
  /** Peers that hold the slot: those queued, sending, sent, or queued again. */
  holders = 0
  private readonly states: Uint8Array
  /**
   * By peer: 1 when the peer's answer was handed to the quorum-waiter; 0 again when the batch is sent anew because the
   * answer was a refusal, or is too old: then another answer counts.
   */
  private readonly heard: Uint8Array

  constructor(init: {
    slot: number
    sequence: bigint
    byteLength: number
    transactions: number
    transactionBytes: number
    takenMs: number
    report: boolean
    again: boolean
    authorities: number
  }) {
    this.slot = init.slot
    this.sequence = init.sequence
    this.byteLength = init.byteLength
    this.transactions = init.transactions
    this.transactionBytes = init.transactionBytes
    this.takenMs = init.takenMs
    this.report = init.report
    this.again = init.again
    this.wanted = init.again && !init.report
    this.states = new Uint8Array(init.authorities).fill(PEER_STATE.dropped)
    this.heard = new Uint8Array(init.authorities)
  }

  get certified(): boolean {
    return this.certifiedSince !== undefined
  }

  state(peer: number): PeerState {
    return this.states[peer] as PeerState
  }

  setState(peer: number, state: PeerState): void {
    this.holders += Number(holds(state)) - Number(holds(this.state(peer)))
    this.states[peer] = state
  }

  /**
   * The quorum-waiter has this peer's answer. If the batch is sent to the peer once more because somebody lacks it, the
   * second answer does not go to the tally.
   */
  isHeard(peer: number): boolean {
    return this.heard[peer] === 1
  }

  setHeard(peer: number, isHeard: boolean): void {
    this.heard[peer] = Number(isHeard)
    if (!isHeard) this.wasAskedAgain = true
  }

  /** Whether the peer is being sent it, or is going to be. */
  isHeldBy(peer: number): boolean {
    return holds(this.state(peer))
  }

  /** Nobody needs the slot any more: it is stored, a quorum has it, and no peer is being sent it. */
  get isDone(): boolean {
    return this.certified && this.holders === 0 && this.digest !== undefined
  }
}

function holds(state: PeerState): boolean {
  return state <= PEER_STATE.sent || state === PEER_STATE.queuedAgain
}
