/**
 * The age of batches, as the primary's Cleanup rounds tell it. Pure: the clock is handed in.
 *
 * Batches are stamped with a round and deleted so many rounds later. The stamps are the worker's own and only rise; a
 * primary's rounds are believed as far as they follow one another:
 *
 * ```
 *  the round is …                              the stamp        the primary's round
 *  above the last, by a plausible number       rises as much    is this one
 *  the last                                    stays            stays
 *  lower, or implausibly high                  stays            stays; this one is a candidate
 *  the same, and follows the candidate         rises as much    is this one: its numbers begin anew
 *    as it was given                           as plausible
 * ```
 *
 * So one absurd round changes nothing, and neither does a message that was overtaken by a later one. A primary that
 * begins again, with a new store or after an error of its own, is followed from its second message on: no batch is
 * deleted early for it, and retention goes on.
 */
import { CLEANUP_JUMP_MAX, CLEANUP_ROUNDS_PER_SECOND } from './limits.js'

export interface CleanupState {
  /** What batches are stamped with now. */
  readonly stamp: bigint
  /** The primary's round that it stands for. */
  readonly primaryRound: bigint
}

export type CleanupStep =
  | { readonly kind: 'advanced' | 'begins-anew'; readonly state: CleanupState; readonly was: bigint }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'not-followed'; readonly reason: 'cleanup-lower' | 'cleanup-implausible'; readonly last: bigint }

const STAMP_MAX = 2n ** 64n - 1n

export class CleanupClock {
  private state: CleanupState
  /** A round that does not follow the last one: perhaps the first of new numbers. */
  private candidate: bigint | undefined
  /** When a round was followed, or became the candidate. */
  private lastMs: number

  constructor(state: CleanupState, nowMs: number) {
    this.state = state
    this.lastMs = nowMs
  }

  get stamp(): bigint {
    return this.state.stamp
  }

  take(round: bigint, nowMs: number): CleanupStep {
    const { primaryRound, stamp } = this.state
    const plausible = this.plausible(nowMs)
    if (round === primaryRound) return { kind: 'repeated' }
    if (round > primaryRound && round - primaryRound <= plausible) {
      return this.follow('advanced', round, stamp + (round - primaryRound), nowMs)
    }
    const { candidate } = this
    if (candidate !== undefined && round > candidate && round - candidate <= plausible) {
      return this.follow('begins-anew', round, stamp + (round - candidate), nowMs)
    }
    this.candidate = round
    const reason = round < primaryRound ? 'cleanup-lower' : 'cleanup-implausible'
    return { kind: 'not-followed', reason, last: primaryRound }
  }

  private follow(kind: 'advanced' | 'begins-anew', round: bigint, stamp: bigint, nowMs: number): CleanupStep {
    const was = this.state.primaryRound
    this.state = { stamp: stamp > STAMP_MAX ? STAMP_MAX : stamp, primaryRound: round }
    this.candidate = undefined
    this.lastMs = nowMs
    return { kind, state: this.state, was }
  }

  /**
   * By how many rounds a primary can have gone on since its round was last followed. The time in which this worker did
   * not run does not count.
   */
  private plausible(nowMs: number): bigint {
    const seconds = Math.max(0, nowMs - this.lastMs) / 1000
    return BigInt(CLEANUP_JUMP_MAX + Math.floor(seconds * CLEANUP_ROUNDS_PER_SECOND))
  }
}
