/** Says in the log when the primary stops to commit and when it goes on: two lines, at most once in a minute. */
import type { Logger } from '../../lib/log.js'
import type { Stillness } from './commit-watch.js'
import { STILLNESS_LOG_MS } from './limits.js'

export class StillnessLog {
  private readonly log: Pick<Logger, 'info' | 'warn'>
  private readonly nowMs: () => number
  private saidMs = Number.NEGATIVE_INFINITY
  /** The last that was seen of a stillness that was said, and is not over. */
  private said: Stillness | undefined

  constructor(log: Pick<Logger, 'info' | 'warn'>, nowMs: () => number) {
    this.log = log
    this.nowMs = nowMs
  }

  look(still: Stillness | undefined): void {
    if (still === undefined) {
      if (this.said === undefined) return
      this.log.info(
        `The primary commits again: it had told of no commit for ${seconds(this.said.forMs)}, and ${this.said.batches} batches were certified meanwhile`,
      )
      this.said = undefined
      return
    }
    if (this.said !== undefined) {
      this.said = still
      return
    }
    if (this.nowMs() - this.saidMs < STILLNESS_LOG_MS) return
    this.saidMs = this.nowMs()
    this.said = still
    this.log.warn(stillnessText(still))
  }
}

/** For people: what is wrong, and where to look. */
export function stillnessText({ batches, forMs }: Stillness): string {
  return (
    `the primary has told of no commit for ${seconds(forMs)}, and ${batches} batches were certified meanwhile: it commits nothing. ` +
    'Look at its log and at those of the other primaries; what others lack is sent to them first until it goes on'
  )
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
