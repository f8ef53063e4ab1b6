/**
 * Renewer: own batches that were certified so long before the primary could be told that their copies may be gone. Each is
 * sent to the other workers once more, and the primary is told when it is certified anew.
 *
 * ```
 *                 ┌─▶ never delivered ───────┐  while the primary is there
 *  link ──stale───┤                          ├──▶ Resender ──▶ certified ──▶ report ──▶ delivered
 *                 └─▶ delivered, and perhaps ┘  still in a slot: that is let go of first
 *                     lost: behind the others
 * ```
 *
 * In: digests whose report the link did not deliver, or did shortly before it was lost. Out: the batch to every peer, from
 * the store and the Resender's slots, with the share of each link that batches have which are sent again.
 *
 * A primary that comes and goes must not have everything certified anew each time. So when RENEWED_UNDELIVERED_MAX went
 * out and their reports are not delivered, the next ones go at a bounded rate. So do those that were delivered once, and
 * that the primary most likely has; they go behind all others.
 *
 * What a crash leaves is in the store: a batch keeps its `unreported` mark until its report was delivered.
 */
import { LogLimiter } from '../../../shared/runtime/thread-control.js'
import { TokenBucket } from '../../../shared/token-bucket.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import type { Logger } from '../../lib/log.js'
import { sleep } from '../../lib/sleep.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { Dissemination } from './dissemination.js'
import {
  RENEWAL_BYTES_PER_SECOND,
  RENEWAL_POLL_MS,
  RENEWALS_MAX,
  RENEWED_UNDELIVERED_MAX,
  REPEATED_RENEWALS_MAX,
} from './limits.js'
import type { Resender } from './resender.js'

export interface RenewerDependencies {
  readonly resender: Pick<Resender, 'resend'>
  readonly dissemination: Pick<Dissemination, 'letGo'>
  /** Whether the primary can be told: a certificate that nobody asks for only grows old again. */
  readonly isPrimaryThere: () => boolean
  readonly nowMs: () => number
  readonly log: Pick<Logger, 'info'>
  /** Watches a promise that nobody waits for. */
  readonly watch: Supervisor['watch']
}

export interface RenewerHandlers {
  /** A batch goes out again, to be certified anew. */
  readonly onRenewed: () => void
}

/** Digests in order, each once, by their keys. */
type Line = Map<string, Uint8Array>

export class Renewer {
  private readonly dependencies: RenewerDependencies
  private readonly handlers: RenewerHandlers
  /** The primary never had their reports. */
  private readonly waiting: Line = new Map()
  /** The primary's side had their reports, and may have lost them. */
  private readonly repeated: Line = new Map()
  /** Keys of those that went out and whose new report is not delivered: at most RENEWED_UNDELIVERED_MAX. */
  private readonly undelivered = new Set<string>()
  private readonly bytes = new TokenBucket(RENEWAL_BYTES_PER_SECOND, RENEWAL_BYTES_PER_SECOND)
  private readonly limiter = new LogLimiter()
  private readonly ending = new AbortController()
  private draining = false

  constructor(dependencies: RenewerDependencies, handlers: RenewerHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
  }

  get size(): number {
    return this.waiting.size + this.repeated.size
  }

  /** Whether sealing is to pause. What was delivered once does not hold up what is new. */
  get isFull(): boolean {
    return this.waiting.size >= RENEWALS_MAX
  }

  /** @param wereDelivered whether the primary's side had their reports */
  add(digests: readonly Uint8Array[], wereDelivered: boolean): void {
    if (this.size === 0) this.say(digests.length)
    for (const digest of digests) {
      const key = digestKey(digest)
      this.undelivered.delete(key)
      if (!wereDelivered) {
        this.repeated.delete(key)
        this.waiting.set(key, digest)
      } else if (!this.waiting.has(key)) this.repeat(key, digest)
    }
    this.tick()
  }

  /** The primary has these own batches. */
  onDelivered(digests: readonly Uint8Array[]): void {
    if (this.undelivered.size === 0) return
    for (const digest of digests) this.undelivered.delete(digestKey(digest))
  }

  /** Goes on if the primary is there. */
  tick(): void {
    if (this.size > 0 && !this.draining) this.dependencies.watch('certifying anew', this.drain())
  }

  close(): void {
    this.ending.abort()
    this.waiting.clear()
    this.repeated.clear()
  }

  private repeat(key: string, digest: Uint8Array): void {
    this.repeated.set(key, digest)
    if (this.repeated.size <= REPEATED_RENEWALS_MAX) return
    const [oldest] = this.repeated.keys()
    this.repeated.delete(oldest!)
  }

  private async drain(): Promise<void> {
    this.draining = true
    try {
      while (!this.ending.signal.aborted && this.dependencies.isPrimaryThere()) {
        const line = this.waiting.size > 0 ? this.waiting : this.repeated
        const [first] = line
        if (first === undefined) return
        const isPaced = line === this.repeated || this.undelivered.size >= RENEWED_UNDELIVERED_MAX
        const bytes = await this.renew(line, ...first)
        if (isPaced) await sleep(this.bytes.take(bytes, this.dependencies.nowMs()), this.ending.signal)
      }
    } finally {
      this.draining = false
    }
  }

  /** Returns the bytes that went out. */
  private async renew(line: Line, key: string, digest: Uint8Array): Promise<number> {
    const { dissemination, resender } = this.dependencies
    const held = dissemination.letGo(digest)
    const sent = held === 'not-held' ? await resender.resend({ digest, report: true, again: true }) : held
    line.delete(key)
    if (sent === 'leaving' || sent === 'held') {
      // Behind the others: a peer that does not answer holds up nobody else.
      line.set(key, digest)
      await sleep(RENEWAL_POLL_MS, this.ending.signal)
      return 0
    }
    if (sent === 'certifies' || sent === 0) return 0
    if (this.undelivered.size < RENEWED_UNDELIVERED_MAX) this.undelivered.add(key)
    this.handlers.onRenewed()
    return sent
  }

  private say(count: number): void {
    const { log, nowMs } = this.dependencies
    const suppressed = this.limiter.admit('renewals', nowMs())
    if (suppressed === null) return
    const more = suppressed === 0 ? '' : ` (${suppressed} more such lines)`
    log.info(
      `${count} batches were certified long before the primary can be told: they are certified anew first${more}`,
    )
  }
}
