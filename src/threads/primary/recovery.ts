/**
 * What an authority does whose store is new or an old backup, and who may have signed what it does not know of: it signs
 * nothing until Q of the others have said what the highest certificate is that they have, and never in rounds up to two
 * above the highest of these. Until then it follows.
 *
 * Why that is enough. Say it signed something in round r: a header, or a vote for one. It had the parents, certificates of
 * r − 1. Q of the stake voted for each of these, and each voter had stored the certificates of r − 2 before its vote left.
 * The Q that answer now and those Q, without this authority, share more than F, so an honest one, who has a certificate of
 * r − 2 at least. So r is at most two above what is answered. Certificates cannot be made up, so no liar can raise it
 * beyond what exists.
 *
 * It takes any certificate, not only those of its own headers: an authority can have voted in rounds in which none of its
 * own headers was certified.
 */
import { NarvalError } from '../../shared/errors.js'
import { encodeHighestRequest } from '../../shared/wire/primary/requests.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import { RECOVERY_RETRY_MS, RECOVERY_ROUNDS } from './limits.js'
import type { Peers } from './peers.js'
import type { TurnBuilder } from './turn.js'

export class Recovery {
  private readonly stakes: Stakes
  private readonly peers: Peers
  private readonly nonce: number
  private readonly answers = new Map<AuthorityIndex, Round>()
  private askAtMs = Number.NEGATIVE_INFINITY
  private answered = 0

  /** @param nonce a whole number that no earlier run has had */
  constructor(stakes: Stakes, peers: Peers, nonce: number) {
    this.stakes = stakes
    this.peers = peers
    this.nonce = nonce
  }

  get wakeAtMs(): number {
    return this.askAtMs
  }

  /** Says how far it is. */
  say(turn: TurnBuilder): void {
    turn.notice({ type: 'recovering', stake: this.answered, quorum: this.stakes.quorum })
  }

  /** Asks who has not answered. */
  tick(turn: TurnBuilder): void {
    if (turn.now.ms < this.askAtMs) return
    this.askAtMs = turn.now.ms + RECOVERY_RETRY_MS
    for (const peer of this.peers.all()) this.ask(peer, turn)
  }

  ask(peer: AuthorityIndex, turn: TurnBuilder): void {
    if (!this.answers.has(peer)) turn.sendAtOnce(peer, encodeHighestRequest(this.nonce))
  }

  /** The peers that have not answered. */
  missing(authorities: readonly AuthorityIndex[]): readonly AuthorityIndex[] {
    return authorities.filter((authority) => !this.answers.has(authority))
  }

  isAsked(nonce: number): boolean {
    return nonce === this.nonce
  }

  /**
   * A peer's answer: the round of a verified certificate, 0 if it has none.
   *
   * @returns above which round we may sign, once that is known
   */
  answer(peer: AuthorityIndex, round: Round, turn: TurnBuilder): Round | undefined {
    const isFirst = !this.answers.has(peer)
    this.answers.set(peer, Math.max(round, this.answers.get(peer) ?? 0))
    if (isFirst) {
      this.answered += this.stakes.of(peer)
      this.say(turn)
    }
    if (this.answered < this.stakes.quorum) return undefined
    return Math.max(...this.answers.values()) + RECOVERY_ROUNDS
  }
}

/**
 * Refuses to begin what can never end: the others have no quorum without this authority.
 *
 * @throws NarvalError ERR_RECOVERY_IMPOSSIBLE
 */
export function checkRecoverable(stakes: Stakes, authority: AuthorityIndex): void {
  const others = stakes.total - stakes.of(authority)
  if (others >= stakes.quorum) return
  throw new NarvalError(
    'ERR_RECOVERY_IMPOSSIBLE',
    'the store is new, or was said to be a backup, so nothing may be signed before authorities with a stake of ' +
      `${stakes.quorum} have said how far this one was; all others together have ${others}. If the key has never been ` +
      'used, say so (the command `fresh`, with the same --keys and --store; markFresh in a program); if the store is the one ' +
      'that it ran with last, start without --recovered; else make a committee with new keys',
  )
}
