/**
 * How long an ACK is good for. Pure.
 *
 * A peer deletes its copy of a batch so many Cleanup rounds after it acknowledged it last. Its rounds are not known here,
 * but the primaries of a committee go on together: so our own primary's rounds tell, and time does where it is away. An ACK
 * counts for half of the retention, so that the other half is left to whoever needs the batch.
 */

/** A point in the life of this worker. Neither number ever falls. */
export interface Moment {
  /** Cleanup rounds since the start: those of our primary, and an estimate for the time in which none came. */
  readonly rounds: number
  /** How long the primary was not connected since the start, whole ms; a u32. */
  readonly awayMs: number
}

export const START: Moment = { rounds: 0, awayMs: 0 }

/** The longest `awayMs`: what a ring's descriptor has room for, seven weeks. */
export const AWAY_MS_MAX = 2 ** 32 - 1

/** Rounds for which an ACK counts; without retention nothing is ever deleted, and each counts for ever. */
export function freshRounds(retentionRounds: number): number {
  return retentionRounds === 0 ? Number.POSITIVE_INFINITY : retentionRounds / 2
}

/** Whether an ACK of the moment `since` still counts. */
export function isFresh(since: Moment, now: Moment, roundsMax: number): boolean {
  return now.rounds - since.rounds <= roundsMax
}
