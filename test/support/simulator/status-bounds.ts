/**
 * What a primary says of itself has to hold: counts stay within what they can be, rounds and commits never fall while it
 * runs, and one follows the other. A map that nobody empties shows here long before memory does.
 */
import type { Primary, PrimaryStatus } from '../../../src/threads/primary/primary.js'
import { SimulationFailure } from './observer.js'

/** Of one run of a primary. */
export class StatusBounds {
  private readonly primary: Primary
  readonly authorities: number
  readonly gcDepth: number
  private last: PrimaryStatus
  /** Of the state that it began with: certificates of these rounds may never come to be here. */
  private readonly decidedBefore: number

  constructor(primary: Primary, { authorities, gcDepth }: { authorities: number; gcDepth: number }) {
    this.primary = primary
    this.authorities = authorities
    this.gcDepth = gcDepth
    this.last = primary.status
    this.decidedBefore = this.last.decidedRound
  }

  /** It has begun anew from a log that others have ordered: what it counts begins anew as well, and nothing is undone. */
  reopened(): StatusBounds {
    const { status } = this.primary
    for (const what of ['gcRound', 'decidedRound', 'lastCommit', 'signingAbove'] as const) {
      if (status[what] >= this.last[what]) continue
      throw new SimulationFailure(`status: ${what} fell from ${this.last[what]} to ${status[what]} by a log of others`)
    }
    return new StatusBounds(this.primary, this)
  }

  /** @throws SimulationFailure */
  check(): void {
    const { status } = this.primary
    for (const [what, atMost] of this.bounds(status)) {
      if (status[what] <= atMost) continue
      throw new SimulationFailure(`status: ${what} is ${status[what]}, at most ${atMost} of ${JSON.stringify(status)}`)
    }
    for (const what of NEVER_FALLS) {
      if (status[what] >= this.last[what]) continue
      throw new SimulationFailure(`status: ${what} fell from ${this.last[what]} to ${status[what]}`)
    }
    this.last = status
  }

  private bounds(status: PrimaryStatus): [keyof PrimaryStatus & CountName, number][] {
    const { authorities, gcDepth } = this
    const { bounds } = this.primary
    const { certificatesKept, gcRound, quorumRound } = status
    return [
      ['headersWaiting', bounds.headersWaitingMax],
      ['certificatesWanted', bounds.certificatesWantedMax],
      ['payloadWanted', bounds.payloadWantedMax],
      // Rounds from gcRound on; above a quorum there can be one round without.
      ['certificatesKept', authorities * (quorumRound + 2 - gcRound)],
      ['certificatesWaiting', authorities * (quorumRound + gcDepth - gcRound)],
      ['unordered', certificatesKept],
      ['gcRound', Math.max(0, status.decidedRound)],
      ['decidedRound', Math.max(quorumRound + 1, this.decidedBefore)],
      ['round', Math.max(quorumRound + 1, this.last.round)],
    ]
  }
}

type CountName = { [K in keyof PrimaryStatus]: PrimaryStatus[K] extends number ? K : never }[keyof PrimaryStatus]

const NEVER_FALLS: readonly CountName[] = [
  'round',
  'quorumRound',
  'seenRound',
  'gcRound',
  'decidedRound',
  'lastCommit',
  'votesTaken',
  'signingAbove',
]
