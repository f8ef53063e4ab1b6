/**
 * How much of one link batches get that are sent again because somebody lacks them. Pure.
 *
 * While fresh batches wait for the link, batches that are sent again get HEAL_LINK_SHARE of its bytes: after each of
 * them so many bytes of fresh batches go out before the next one may. While no fresh batch waits, they go at once.
 */
import { HEAL_LINK_SHARE } from './limits.js'

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

  startedHeal(bytes: number): void {
    this.owedBytes = bytes / HEAL_LINK_SHARE - bytes
  }
}
