/**
 * Healer: sends stored batches of ours to the other workers again, because an authority's primary lacks them.
 *
 * In: Synchronize messages for our own key. Out: the batch to every peer that is connected, from the slot that still holds
 * it, or from the store.
 *
 * A reference primary has no other way to a batch that it has missed, so this is never starved; and anybody can ask for
 * it, so it is bounded: each digest once in PUSH_AGAIN_INTERVAL_MS, HEAL_BYTES_PER_SECOND in all, sources in turn
 * (`heal-queue.ts`), and a share of each link where fresh batches wait (`heal-share.ts`).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { PrimaryRefusal } from '../../../shared/refusals.js'
import type { Supervisor } from '../../lib/supervisor.js'
import { TokenBucket } from '../../lib/token-bucket.js'
import type { Dissemination } from './dissemination.js'
import { HealQueue } from './heal-queue.js'
import { HEAL_BYTES_PER_SECOND, HEAL_LOOKUP_BYTES, HEAL_POLL_MS } from './limits.js'
import type { Resender } from './resender.js'

export interface HealerDependencies {
  readonly resender: Pick<Resender, 'resend' | 'recovered'>
  readonly dissemination: Pick<Dissemination, 'heal'>
  readonly nowMs: () => number
  /** Watches a promise that nobody waits for. */
  readonly watch: Supervisor['watch']
}

export interface HealerHandlers {
  readonly onRefused: (reason: PrimaryRefusal, from: string, detail: string) => void
}

export class Healer {
  private readonly dependencies: HealerDependencies
  private readonly handlers: HealerHandlers
  private readonly queue = new HealQueue()
  private readonly bytes = new TokenBucket(HEAL_BYTES_PER_SECOND, HEAL_BYTES_PER_SECOND)
  private readonly ending = new AbortController()
  private draining = false

  constructor(dependencies: HealerDependencies, handlers: HealerHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
  }

  /** `source` lacks these batches of ours. */
  ask(digests: readonly Uint8Array[], source: string): void {
    if (this.ending.signal.aborted) return
    const lost = this.queue.add(digests, source, this.dependencies.nowMs())
    if (lost > 0) {
      this.handlers.onRefused('synchronize-queue', source, `${lost} digests found no place: ${this.queue.size} wait`)
    }
    this.dependencies.watch('sending again', this.drain())
  }

  close(): void {
    this.ending.abort()
    this.queue.clear()
  }

  private async drain(): Promise<void> {
    if (this.draining) return
    this.draining = true
    try {
      // Batches that an earlier run left unreported come first. One of them that is healed before would go out as one
      // that is not to be reported.
      await this.dependencies.resender.recovered
      while (this.queue.size > 0) await this.healNext()
    } finally {
      this.draining = false
    }
  }

  private async healNext(): Promise<void> {
    const { nowMs } = this.dependencies
    const digest = this.queue.next(nowMs())
    if (digest === undefined) {
      await this.wait(HEAL_POLL_MS)
      return
    }
    const bytes = await this.heal(digest)
    if (bytes > 0) this.queue.healed(digest, nowMs())
    await this.wait(this.bytes.take(Math.max(bytes, HEAL_LOOKUP_BYTES), nowMs()))
  }

  /** Returns the bytes of the batch; 0 if it is none of ours, or goes to nobody. */
  private async heal(digest: Uint8Array): Promise<number> {
    const { dissemination, resender } = this.dependencies
    for (;;) {
      const held = dissemination.heal(digest)
      if (typeof held === 'number') return held
      if (held === 'not-held') {
        const bytes = await resender.resend({ digest, report: false, again: true })
        if (bytes !== 'held') return bytes
      } else {
        await this.wait(HEAL_POLL_MS)
      }
      if (this.ending.signal.aborted) return 0
    }
  }

  private async wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.ending.signal }).catch(() => {})
  }
}
