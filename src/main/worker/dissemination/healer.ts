/**
 * Healer: sends stored batches of ours to the other workers again, because an authority's primary lacks them.
 *
 * In: Synchronize messages for our own key. Out: the batch to every peer that is connected, from the slot that still holds
 * it, or from the store; to a peer that is not, or has no room for it, later, and to that peer alone (`heal-debts.ts`).
 *
 * A reference primary has no other way to a batch that it has missed, and asks once. So this is never starved, and what
 * was asked for is not forgotten while it is stored. Anybody can ask for it, so it is bounded: each digest once in
 * PUSH_AGAIN_INTERVAL_MS, and as often to a peer that is owed it; HEAL_BYTES_PER_SECOND in all; sources in turn
 * (`heal-queue.ts`); and a share of each link where fresh batches wait (`heal-share.ts`).
 */
import type { PrimaryRefusal } from '../../../shared/refusals.js'
import { TokenBucket } from '../../../shared/token-bucket.js'
import { sleep } from '../../lib/sleep.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { Dissemination } from './dissemination.js'
import { HealDebts } from './heal-debts.js'
import { type Heal, HealQueue } from './heal-queue.js'
import {
  HEAL_BYTES_PER_SECOND,
  HEAL_LOOKUP_BYTES,
  HEAL_POLL_MS,
  HEAL_STILL_BYTES_PER_SECOND,
  HEALS_OWED_AT_ONCE,
} from './limits.js'
import type { Resender } from './resender.js'

export interface HealerDependencies {
  readonly resender: Pick<Resender, 'resend' | 'recovered'>
  readonly dissemination: Pick<Dissemination, 'heal'>
  /** How many there are. */
  readonly peers: number
  /** Whether a peer can be sent to now: it is connected, and takes what it is sent. */
  readonly canSendTo: (peer: number) => boolean
  /** Our primary commits nothing: it may be that what others lack is what it waits for. */
  readonly isUrgent: () => boolean
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
  private readonly debts = new HealDebts()
  private readonly bytes = new TokenBucket(HEAL_BYTES_PER_SECOND, HEAL_BYTES_PER_SECOND)
  private readonly urgentBytes = new TokenBucket(HEAL_STILL_BYTES_PER_SECOND, HEAL_STILL_BYTES_PER_SECOND)
  private readonly ending = new AbortController()
  private draining = false

  constructor(dependencies: HealerDependencies, handlers: HealerHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
  }

  /** `source` lacks these batches of ours. */
  ask(digests: readonly Uint8Array[], source: string): void {
    if (this.ending.signal.aborted) return
    this.onLost(this.queue.add(digests, source, this.dependencies.nowMs()), source)
    this.dependencies.watch('sending again', this.drain())
  }

  /** This batch was asked for, and the peer was not sent it. It gets it as soon as it can be sent to. */
  owe(peer: number, digest: Uint8Array): void {
    if (!this.ending.signal.aborted && !this.debts.owe(peer, digest)) this.onLost(1, `what peer ${peer} is owed`)
  }

  /** Once in a while: what is owed to peers that can be sent to goes out. What a peer was just sent, and refused, waits. */
  tick(): void {
    const { canSendTo, nowMs } = this.dependencies
    const now = nowMs()
    for (const peer of this.debts.peers) {
      if (!canSendTo(peer)) continue
      const isDue = (digest: Uint8Array): boolean => !this.queue.wasHealedFor(peer, digest, now)
      const lost = this.queue.addOwed(this.debts.take(peer, HEALS_OWED_AT_ONCE, isDue), peer, now)
      this.onLost(lost, `what peer ${peer} is owed`)
    }
    if (this.queue.size === 0) return
    this.dependencies.watch('sending again', this.drain())
  }

  close(): void {
    this.ending.abort()
    this.queue.clear()
    this.debts.clear()
  }

  private onLost(lost: number, source: string): void {
    if (lost === 0) return
    this.handlers.onRefused('synchronize-queue', source, `${lost} digests found no place: ${this.queue.size} wait`)
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
    const { isUrgent, nowMs, peers } = this.dependencies
    const heal = this.queue.next(nowMs())
    if (heal === undefined) {
      await sleep(HEAL_POLL_MS, this.ending.signal)
      return
    }
    const bytes = await this.heal(heal)
    if (bytes > 0) this.queue.healed(heal, nowMs())
    const bucket = isUrgent() ? this.urgentBytes : this.bytes
    // The rate is one to all peers at once: what goes to one of them takes its share.
    const share = heal.peer === undefined ? bytes : bytes / peers
    await sleep(bucket.take(Math.max(share, HEAL_LOOKUP_BYTES), nowMs()), this.ending.signal)
  }

  /** Returns the bytes of the batch; 0 if it is none of ours, or goes to nobody. */
  private async heal({ digest, peer }: Heal): Promise<number> {
    const { dissemination, resender } = this.dependencies
    for (;;) {
      const held = dissemination.heal(digest, peer)
      if (typeof held === 'number') return held
      if (held === 'not-held') {
        const bytes = await resender.resend({ digest, report: false, again: true, peer })
        if (bytes !== 'held') return bytes
      } else {
        await sleep(HEAL_POLL_MS, this.ending.signal)
      }
      if (this.ending.signal.aborted) return 0
    }
  }
}
