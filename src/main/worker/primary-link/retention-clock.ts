/**
 * How far the others' retention may have gone on: what ages ACKs and certificates. Pure: the clock is handed in.
 *
 * ```
 *  our primary …                         rounds                            awayMs
 *  sends Cleanups                        as they say                       stays
 *  sends none for CLEANUP_SILENCE_MS     so many for the time since then   stays
 *  is not connected                      so many for the time              the time
 * ```
 *
 * "So many" is the estimate: the pace of its last Cleanups, or one round in `max_header_delay` if that is faster. Where the
 * primary was not connected, more is assumed for what it is told afterwards: CLEANUP_ROUNDS_PER_SECOND, faster than any
 * primary. That costs only that what waited goes to the peers once more.
 */
import { AWAY_MS_MAX, freshRounds, isFresh, type Moment } from '../../../shared/freshness.js'
import { CLEANUP_PACE_MS, CLEANUP_ROUNDS_PER_SECOND, CLEANUP_SILENCE_MS, PRIMARY_CONNECT_TIMEOUT_MS } from './limits.js'

export interface RetentionClockOptions {
  readonly retentionRounds: number
  /** The fastest that an idle primary makes rounds. */
  readonly maxHeaderDelayMs: number
}

export interface RetentionClockDependencies {
  readonly nowMs: () => number
  /** Whether the primary can be told anything now. */
  readonly isConnected: () => boolean
}

const ROUNDS_PER_MS_MAX = CLEANUP_ROUNDS_PER_SECOND / 1000

export class RetentionClock {
  /** Rounds for which an ACK counts. */
  readonly roundsMax: number
  private readonly options: RetentionClockOptions
  private readonly dependencies: RetentionClockDependencies
  private readonly roundsPerMsMin: number
  private roundsPerMs: number
  private rounds = 0
  private awayMs = 0
  private lookedMs: number
  /** When the last Cleanup was followed; undefined before the first. */
  private heard: Moment | undefined
  private wasConnected = false
  /** Of `awayMs`, what went by before a primary that answered our first dial: it was not away. */
  private dialledMs: number | undefined
  /** Connected and without a Cleanup for so long, and not estimated yet. */
  private quietMs = 0
  private isSilent = false
  /** The stretch of Cleanups of which the pace is being measured. */
  private paceSinceMs: number | undefined
  private paceRounds = 0

  constructor(options: RetentionClockOptions, dependencies: RetentionClockDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.roundsMax = freshRounds(options.retentionRounds)
    this.roundsPerMsMin = Math.min(1 / options.maxHeaderDelayMs, ROUNDS_PER_MS_MAX)
    this.roundsPerMs = this.roundsPerMsMin
    this.lookedMs = dependencies.nowMs()
  }

  /** The worker begins to wait for its primary. */
  begin(): void {
    this.lookedMs = this.dependencies.nowMs()
  }

  /** A Cleanup was followed, and the primary has gone on by so many rounds. */
  onRounds(rounds: number): void {
    this.look()
    this.rounds += rounds
    this.measure(rounds)
    this.quietMs = 0
    this.isSilent = false
    this.heard = this.now()
  }

  /**
   * Whether the primary has sent no Cleanup for so long that it may make up for more than half of the retention at once.
   * One that is connected and has sent none yet was not away.
   */
  get wasAway(): boolean {
    const since = this.heard ?? { rounds: this.now().rounds, awayMs: this.dialledMs ?? 0 }
    return this.isStale(since)
  }

  /** The rounds of a millisecond, as they are estimated now, and the time of a retention at that pace. */
  get pace(): { readonly roundsPerMs: number; readonly retentionMs: number } {
    const { roundsPerMs } = this
    return { roundsPerMs, retentionMs: this.options.retentionRounds / roundsPerMs }
  }

  now(): Moment {
    this.look()
    return { rounds: this.rounds, awayMs: Math.floor(this.awayMs) }
  }

  /** Whether the primary must not be told of what was acknowledged then: the copies may be gone. */
  isStale(since: Moment): boolean {
    const now = this.now()
    if (!isFresh(since, now, this.roundsMax)) return true
    return (now.awayMs - since.awayMs) * ROUNDS_PER_MS_MAX > this.roundsMax
  }

  /** Takes the time since the last look into account; to be called when the link to the primary comes or goes. */
  look(): void {
    const nowMs = this.dependencies.nowMs()
    const isConnected = this.dependencies.isConnected()
    const passedMs = Math.max(0, nowMs - this.lookedMs)
    const { wasConnected } = this
    this.lookedMs = nowMs
    this.wasConnected = isConnected
    if (!wasConnected) {
      this.awayMs = Math.min(this.awayMs + passedMs, AWAY_MS_MAX)
      this.estimate(passedMs)
      this.paceSinceMs = undefined
      if (isConnected) this.dialledMs ??= this.awayMs <= PRIMARY_CONNECT_TIMEOUT_MS ? this.awayMs : 0
      return
    }
    this.quietMs += passedMs
    if (this.quietMs > CLEANUP_SILENCE_MS) this.isSilent = true
    if (!this.isSilent) return
    this.estimate(this.quietMs)
    this.quietMs = 0
    this.paceSinceMs = undefined
  }

  private estimate(ms: number): void {
    this.rounds += ms * this.roundsPerMs
  }

  /** The first Cleanup after a pause begins a stretch. Its rounds were made in the pause. */
  private measure(rounds: number): void {
    const nowMs = this.lookedMs
    if (this.paceSinceMs === undefined) {
      this.paceSinceMs = nowMs
      this.paceRounds = 0
      return
    }
    this.paceRounds += rounds
    const passedMs = nowMs - this.paceSinceMs
    if (passedMs < CLEANUP_PACE_MS) return
    const seen = this.paceRounds / passedMs
    this.roundsPerMs = Math.min(Math.max(seen, this.roundsPerMsMin), ROUNDS_PER_MS_MAX)
    this.paceSinceMs = nowMs
    this.paceRounds = 0
  }
}
