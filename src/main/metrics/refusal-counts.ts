/** Refusals by kind and reason. A hostile peer can cause many, so that one costs two look-ups and an addition. */

import type { InboundStatus } from '../../shared/memory/dialogue/processor.js'
import type { AckVerdict } from '../../shared/memory/dialogue/quorum-waiter.js'
import type {
  AuthorityRefusal,
  ClientRefusal,
  LinkRefusal,
  PeerRefusal,
  PrimaryRefusal,
  ReaderRefusal,
} from '../../shared/refusals.js'
import { REFUSAL_REASONS_MAX } from './limits.js'

/** What may be refused, and why. */
export interface Refusals {
  /** A transaction that was submitted through the library; at the clients' port the batch-maker counts. */
  readonly client: ClientRefusal
  /** A peer's frame, stream or connection. */
  readonly peer: PeerRefusal
  /** An ACK that was not counted for its batch. */
  readonly ack: AckVerdict
  /** A batch of another authority that was not stored. */
  readonly batch: InboundStatus
  /** Something on the primary link. */
  readonly primary: PrimaryRefusal
  /** A message of another authority's primary. */
  readonly authority: AuthorityRefusal
  /** A reader that this program began. */
  readonly reader: ReaderRefusal
  /** A message of our own worker in another process. */
  readonly worker: LinkRefusal
}
export type RefusalKind = keyof Refusals

/** Stands for the reasons beyond REFUSAL_REASONS_MAX, should a reason ever come from outside. */
const OTHER = 'other'

export class RefusalCounts {
  private readonly counts: Readonly<Record<RefusalKind, Map<string, number>>> = {
    client: new Map(),
    peer: new Map(),
    ack: new Map(),
    batch: new Map(),
    primary: new Map(),
    authority: new Map(),
    reader: new Map(),
    worker: new Map(),
  }

  add<K extends RefusalKind>(kind: K, reason: Refusals[K]): void {
    const reasons = this.counts[kind]
    const key = reasons.has(reason) || reasons.size < REFUSAL_REASONS_MAX ? reason : OTHER
    reasons.set(key, (reasons.get(key) ?? 0) + 1)
  }

  *rows(): Generator<readonly [{ kind: RefusalKind; reason: string }, number]> {
    for (const kind of Object.keys(this.counts) as RefusalKind[]) {
      for (const [reason, count] of this.counts[kind]) yield [{ kind, reason }, count]
    }
  }
}
