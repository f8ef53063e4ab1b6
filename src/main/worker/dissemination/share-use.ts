/**
 * How full our share of the others' stores is, as their ACKs say, and how much more slowly we seal for that. Whoever goes on at
 * full speed is refused in the end, at a quorum; so we become slower from half of a share on.
 *
 * ```
 *  pause between two    1 s ┤                 ╱
 *  batches                  │             ╱
 *                         0 ┼─────────╱
 *                           0        1/2       1   used of our share, at the peers that a quorum takes
 * ```
 *
 * Only what a quorum needs counts: peers with less than F of the stake can say that they are full, and nobody waits for them.
 * Each pause ends with a batch, and its ACKs say how it is then.
 */
import { SHARE_PAUSE_MS_MAX, SHARE_SLOW_FROM } from './limits.js'

export interface ShareUseOptions {
  /** Authority indices of the others. */
  readonly peers: readonly number[]
  /** Stake by authority index. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  readonly quorumThreshold: number
}

/** A share that is full, as it stands in ACKs. */
const FULL = 1000

export class ShareUse {
  private readonly options: ShareUseOptions
  /** Whether batches go to this peer now: one that is away takes none, and its share says nothing. */
  private readonly isOpen: (peer: number) => boolean
  /** By peer, in thousandths, as its last ACK on this stream said. */
  private readonly said = new Map<number, number>()

  constructor(options: ShareUseOptions, isOpen: (peer: number) => boolean) {
    this.options = options
    this.isOpen = isOpen
  }

  /** An ACK of this peer. */
  heard(peer: number, used: number): void {
    this.said.set(peer, used)
  }

  /** Its stream is gone. */
  lost(peer: number): void {
    this.said.delete(peer)
  }

  /** In thousandths; 0 until it is known. */
  of(peer: number): number {
    return this.said.get(peer) ?? 0
  }

  /** What peers have at least from which a quorum can be had with ours, in thousandths; 0 if there is none, whatever is used. */
  get ofQuorum(): number {
    const { ownIndex, peers, quorumThreshold, stakes } = this.options
    let stake = stakes[ownIndex]!
    const open = peers.filter(this.isOpen).sort((a, b) => this.of(a) - this.of(b))
    for (const peer of open) {
      if (stake >= quorumThreshold) return 0
      stake += stakes[peer]!
      if (stake >= quorumThreshold) return this.of(peer)
    }
    return 0
  }

  /** Between two batches of ours, in ms. */
  get pauseMs(): number {
    // In the usual case nobody says so much, and nothing has to be sorted.
    if (!this.isAnyFilling) return 0
    const beyond = this.ofQuorum - SHARE_SLOW_FROM
    return beyond <= 0 ? 0 : (SHARE_PAUSE_MS_MAX * beyond) / (FULL - SHARE_SLOW_FROM)
  }
  private get isAnyFilling(): boolean {
    for (const used of this.said.values()) if (used > SHARE_SLOW_FROM) return true
    return false
  }
}
