/**
 * How much of one link batches get that are sent again because somebody lacks them. Pure.
 *
 * While fresh batches wait for the link, of so many bytes that go out a share of HEAL_LINK_SHARE is theirs: each is
 * followed by so many bytes of fresh ones before the next may go. While none wait, they go at once.
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
