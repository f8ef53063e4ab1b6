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
 * A primary that was away makes up for the rounds that it has missed, in one jump or in a burst. Copies that we
 * acknowledged shortly before its return are not to be deleted for that: for a while rounds age by no more than the time
 * tells (`limit`), and what is beyond is never made up for.
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
  | {
      readonly kind: 'advanced' | 'begins-anew'
      readonly state: CleanupState
      readonly was: bigint
      /** By how many rounds the primary went on. */
      readonly made: bigint
    }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'not-followed'; readonly reason: 'cleanup-lower' | 'cleanup-implausible'; readonly last: bigint }

/** Rounds age no faster than this for some time. */
interface Limit {
  readonly roundsPerMs: number
  readonly untilMs: number
  atMs: number
  /** Rounds that the time has allowed and that did not come. */
  allowed: number
}

const STAMP_MAX = 2n ** 64n - 1n

export class CleanupClock {
  private state: CleanupState
  /** A round that does not follow the last one: perhaps the first of new numbers. */
  private candidate: bigint | undefined
  /** When a round was followed, or became the candidate. */
  private lastMs: number
  private limited: Limit | undefined

  constructor(state: CleanupState, nowMs: number) {
    this.state = state
    this.lastMs = nowMs
  }

  get stamp(): bigint {
    return this.state.stamp
  }

  /** The primary was away. From now on, for `forMs`, batches age by no more rounds than this pace tells. */
  limit(roundsPerMs: number, forMs: number, nowMs: number): void {
    this.limited = { roundsPerMs, untilMs: nowMs + forMs, atMs: nowMs, allowed: 0 }
  }

  take(round: bigint, nowMs: number): CleanupStep {
    const { primaryRound } = this.state
    const plausible = this.plausible(nowMs)
    if (round === primaryRound) return { kind: 'repeated' }
    if (round > primaryRound && round - primaryRound <= plausible) {
      return this.follow('advanced', round, round - primaryRound, nowMs)
    }
    const { candidate } = this
    if (candidate !== undefined && round > candidate && round - candidate <= plausible) {
      return this.follow('begins-anew', round, round - candidate, nowMs)
    }
    this.candidate = round
    const reason = round < primaryRound ? 'cleanup-lower' : 'cleanup-implausible'
    return { kind: 'not-followed', reason, last: primaryRound }
  }

  private follow(kind: 'advanced' | 'begins-anew', round: bigint, made: bigint, nowMs: number): CleanupStep {
    const was = this.state.primaryRound
    const stamp = this.state.stamp + this.aged(made, nowMs)
    this.state = { stamp: stamp > STAMP_MAX ? STAMP_MAX : stamp, primaryRound: round }
    this.candidate = undefined
    this.lastMs = nowMs
    return { kind, state: this.state, was, made }
  }

  /** Of the rounds that the primary made, those by which batches age. */
  private aged(made: bigint, nowMs: number): bigint {
    const { limited } = this
    if (limited === undefined) return made
    if (nowMs >= limited.untilMs) {
      this.limited = undefined
      return made
    }
    limited.allowed += (nowMs - limited.atMs) * limited.roundsPerMs
    limited.atMs = nowMs
    const aged = made > BigInt(Math.floor(limited.allowed)) ? Math.floor(limited.allowed) : Number(made)
    limited.allowed -= aged
    return BigInt(aged)
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
