/**
 * Renewer: own batches that were certified so long before the primary could be told that their copies may be gone. Each is
 * sent to the other workers once more, and the primary is told when it is certified anew.
 *
 * ```
 *  link ──stale──▶ waiting, while the primary is there ──▶ Resender ──▶ certified ──▶ report
 *                    └─ still in a slot: that is let go of first
 * ```
 *
 * In: digests whose report the link did not deliver. Out: the batch to every peer, from the store and the Resender's
 * slots, with the share of each link that batches have which are sent again.
 *
 * What a crash leaves is in the store: a batch keeps its `unreported` mark until its report was delivered.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { digestKey } from '../../../shared/wire/digest-key.js'
import type { Logger } from '../../lib/log.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { Dissemination } from './dissemination.js'
import { RENEWAL_POLL_MS, RENEWALS_MAX } from './limits.js'
import type { Resender } from './resender.js'

export interface RenewerDependencies {
  readonly resender: Pick<Resender, 'resend'>
  readonly dissemination: Pick<Dissemination, 'letGo'>
  /** Whether the primary can be told: a certificate that nobody asks for only grows old again. */
  readonly isPrimaryThere: () => boolean
  readonly log: Pick<Logger, 'info'>
  /** Watches a promise that nobody waits for. */
  readonly watch: Supervisor['watch']
}

export interface RenewerHandlers {
  /** A batch goes out again, to be certified anew. */
  readonly onRenewed: () => void
}

export class Renewer {
  private readonly dependencies: RenewerDependencies
  private readonly handlers: RenewerHandlers
  /** In order, each digest once. */
  private readonly waiting = new Map<string, Uint8Array>()
  private readonly ending = new AbortController()
  private draining = false

  constructor(dependencies: RenewerDependencies, handlers: RenewerHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
  }

  get size(): number {
    return this.waiting.size
  }

  /** Whether sealing is to pause. */
  get isFull(): boolean {
    return this.waiting.size >= RENEWALS_MAX
  }

  add(digests: readonly Uint8Array[]): void {
    if (this.waiting.size === 0) {
      this.dependencies.log.info(
        `${digests.length} batches were certified long before the primary can be told: they are certified anew first`,
      )
    }
    for (const digest of digests) this.waiting.set(digestKey(digest), digest)
    this.tick()
  }

  /** Goes on if the primary is there. */
  tick(): void {
    if (this.waiting.size > 0 && !this.draining) this.dependencies.watch('certifying anew', this.drain())
  }

  close(): void {
    this.ending.abort()
    this.waiting.clear()
  }

  private async drain(): Promise<void> {
    this.draining = true
    try {
      while (!this.ending.signal.aborted && this.dependencies.isPrimaryThere()) {
        const [first] = this.waiting
        if (first === undefined) return
        await this.renew(...first)
      }
    } finally {
      this.draining = false
    }
  }

  private async renew(key: string, digest: Uint8Array): Promise<void> {
    const { dissemination, resender } = this.dependencies
    const held = dissemination.letGo(digest)
    const sent = held === 'not-held' ? await resender.resend({ digest, report: true, again: true }) : held
    this.waiting.delete(key)
    if (sent === 'leaving' || sent === 'held') {
      // Behind the others: a peer that does not answer holds up nobody else.
      this.waiting.set(key, digest)
      await sleep(RENEWAL_POLL_MS, undefined, { signal: this.ending.signal }).catch(() => {})
      return
    }
    if (Number(sent) > 0) this.handlers.onRenewed()
  }
}
