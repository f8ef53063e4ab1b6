/**
 * SigningWatch: sees that nothing may be signed in the rounds in which the committee stands. An authority that has recovered
 * signs in rounds above those that it may have signed in before; the others make these rounds meanwhile. If too many have
 * lost their stores, nobody makes them, and the committee stands for ever. It says so, since nothing else would.
 */
import type { Round } from './consensus/types.js'
import { SIGNING_HELD_MS } from './limits.js'
import type { TurnBuilder } from './turn.js'

export class SigningWatch {
  private round: Round = -1
  private sayAtMs = Number.POSITIVE_INFINITY
  private isSaid = false

  /** Whether the committee has stood for so long that it was said. */
  get isHeld(): boolean {
    return this.isSaid
  }

  get wakeAtMs(): number {
    return this.sayAtMs
  }

  /**
   * @param above the round above which we may sign
   * @param quorumRound the highest round that has a quorum
   */
  consider(above: Round, quorumRound: Round, turn: TurnBuilder): void {
    const { ms } = turn.now
    if (quorumRound >= above) {
      this.sayAtMs = Number.POSITIVE_INFINITY
      this.isSaid = false
      return
    }
    if (quorumRound !== this.round) {
      this.round = quorumRound
      this.isSaid = false
      this.sayAtMs = ms + SIGNING_HELD_MS
    }
    if (ms < this.sayAtMs) return
    this.isSaid = true
    this.sayAtMs = ms + SIGNING_HELD_MS
    turn.notice({ type: 'signing-held', above, round: quorumRound })
  }
}
