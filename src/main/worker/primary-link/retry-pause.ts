/** How long to wait before the primary is dialled again. Pure: the times are handed in. */
import { PRIMARY_RETRY_MS, PRIMARY_RETRY_MS_MAX, PRIMARY_STABLE_MS } from './limits.js'

export class RetryPause {
  /** Connections in a row that did not last, whatever attempts failed in between. */
  private short = 0

  /**
   * Milliseconds until the next attempt. A primary that is away is asked often, since that costs next to nothing: also one
   * that took connections and closed them before, since it has had its rest. One that takes each connection and closes it
   * gets a longer rest after each of them.
   *
   * @param lastedMs how long the connection was there; undefined if there was none
   */
  after(lastedMs: number | undefined): number {
    if (lastedMs === undefined) return PRIMARY_RETRY_MS
    this.short = lastedMs < PRIMARY_STABLE_MS ? this.short + 1 : 0
    return Math.min(PRIMARY_RETRY_MS * 2 ** Math.max(0, this.short - 1), PRIMARY_RETRY_MS_MAX)
  }
}
