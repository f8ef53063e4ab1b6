/**
 * How much of one link batches get that are sent again because somebody lacks them. Pure.
 *
 * While fresh batches wait for the link, batches that are sent again get HEAL_LINK_SHARE of its bytes: after each of
 * them so many bytes of fresh batches go out before the next one may. While no fresh batch waits, they go at once. While
 * our primary commits nothing they get HEAL_STILL_LINK_SHARE: it may be that what they lack is what it waits for.
 */
import { HEAL_LINK_SHARE, HEAL_STILL_LINK_SHARE } from './limits.js'

export class HealShare {
  /** Bytes of fresh batches that go before the next of these. */
  private owedBytes = 0

  /** Whether one may be started now. */
  allows(freshWait: boolean): boolean {
    return !freshWait || this.owedBytes <= 0
  }

  startedFresh(bytes: number): void {
    this.owedBytes = Math.max(0, this.owedBytes - bytes)
  }

  startedHeal(bytes: number, first = false): void {
    this.owedBytes = bytes / (first ? HEAL_STILL_LINK_SHARE : HEAL_LINK_SHARE) - bytes
  }
}
