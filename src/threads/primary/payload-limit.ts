/**
 * PayloadLimit: how many batches our next header lists. A batch that too few voters can get would otherwise keep every
 * header of ours from its certificate, as it is proposed again before all newer ones.
 *
 * ```
 *  512 batches ──given up 3 times──▶ none ──certified──▶ half ──given up──▶ half of that … 1 ──given up──▶ none ──certified──▶ culprit
 *       ▲                             │                    └──certified──▶ twice as many
 *       └────────────given up─────────┘
 * ```
 *
 * Only an empty header that is certified shows that batches are the reason. If that one is given up as well it is the
 * network, and nothing changes.
 */
import { HEADER_PAYLOAD_MAX } from '../../shared/wire/primary/limits.js'
import { GIVEN_UP_BEFORE_PROBE } from './limits.js'

export class PayloadLimit {
  private limit = HEADER_PAYLOAD_MAX
  private givenUpInARow = 0
  /** Batches of the header that was given up, while the next one is empty to see whether they are the reason. */
  private probed: number | undefined

  /** For the next header. */
  get count(): number {
    return this.probed === undefined ? this.limit : 0
  }

  /** Whether a batch is looked for: those that are certified must not come first again meanwhile. */
  get isSearching(): boolean {
    return this.probed !== undefined || this.limit < HEADER_PAYLOAD_MAX
  }

  /** Our header with so many batches is given up. */
  givenUp(batches: number): void {
    if (batches === 0) {
      if (this.probed !== undefined) this.limit = HEADER_PAYLOAD_MAX
      this.probed = undefined
      this.givenUpInARow = 0
      return
    }
    this.givenUpInARow += 1
    const isSearching = this.limit < HEADER_PAYLOAD_MAX
    if (isSearching && batches > 1) this.limit = Math.floor(batches / 2)
    else if (isSearching || this.givenUpInARow >= GIVEN_UP_BEFORE_PROBE) this.probed = batches
  }

  /**
   * Our header with so many batches is certified.
   *
   * @returns whether the one batch of the header before it cannot be obtained by a quorum
   */
  certified(batches: number): boolean {
    const { probed } = this
    this.givenUpInARow = 0
    this.probed = undefined
    if (probed === undefined) {
      if (batches > 0) this.limit = Math.min(HEADER_PAYLOAD_MAX, 2 * this.limit)
      return false
    }
    if (batches > 0) return false
    this.limit = Math.max(1, Math.floor(probed / 2))
    return probed === 1
  }
}
